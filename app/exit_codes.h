// SPDX-License-Identifier: MIT
#pragma once

namespace adaspan {

struct ExitCode {
  const char* code;
  const char* meaning;
};

/// How the program ends, as --help and the manual tell it.
inline constexpr ExitCode kExitCodes[] = {
    {"0", "done"},
    {"1", "diff, repro or parity: some number is not the same"},
    {"2",
     "refused or failed: one line on standard error says what was expected, what came, and what "
     "to do"},
    {"128+N",
     "stopped by signal N: 130 after Ctrl-C, 143 after SIGTERM, 129 after a closed terminal; "
     "'train' has saved (a second signal ends it without), and the same command goes on"}};

}  // namespace adaspan
