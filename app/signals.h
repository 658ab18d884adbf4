// SPDX-License-Identifier: MIT
// How a process may be asked to end, and what it starts with.
#pragma once

#include <atomic>

namespace adaspan::cli {

/// Opens /dev/null in place of standard input, output and error where these are closed: the next
/// file that is opened would take their number, and what is printed would land in it.
void open_standard_streams();

/// From now on SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal) ask to stop: the first of
/// them says `line` on standard error, what it waits for, and a second one ends the process at
/// once. One that was ignored when the process started, as under nohup, stays so.
void stop_on_signals(const char* line);

/// From now on a closed pipe is an error of the write and no longer a signal.
void outlive_pipes();

/// Whether one of them came: true once it did.
const std::atomic<bool>& stop_asked();
/// 128 + the signal that came, as shells have it; 0 if none did.
int exit_code_of_stop();

}  // namespace adaspan::cli
