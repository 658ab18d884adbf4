// SPDX-License-Identifier: MIT
#include "app/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

namespace adaspan::cli {
namespace {

// A signal handler can reach nothing else.
std::atomic<bool> asked = false;
volatile std::sig_atomic_t first_signal = 0;
const char* what_follows = "";
size_t length_of_it = 0;

void ask_to_stop(int signal) {
  if (asked) {  // of whatever kind the first one was
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  first_signal = signal;
  asked = true;
  [[maybe_unused]] const ssize_t told = ::write(STDERR_FILENO, what_follows, length_of_it);
}

}  // namespace

void open_standard_streams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest free number is the one that is closed: those below it are open by now.
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  }
}

void outlive_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

void stop_on_signals(const char* line) {
  what_follows = line;
  length_of_it = std::strlen(line);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action.sa_handler = ask_to_stop;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

const std::atomic<bool>& stop_asked() {
  return asked;
}

int exit_code_of_stop() {
  return first_signal == 0 ? 0 : 128 + first_signal;
}

}  // namespace adaspan::cli
