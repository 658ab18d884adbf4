// SPDX-License-Identifier: MIT
// How many threads the program uses: --threads, else OMP_NUM_THREADS, else as many as the process
// may use (default_threads in core/parallel.h).
#pragma once

#include <optional>
#include <string_view>

#include <adaspan/ops/process.h>

#include "app/output.h"

namespace adaspan {

inline constexpr int kMostThreads = 4096;

/// What a value of OMP_NUM_THREADS asks for: the first number of a list, "4,2", which is for loops
/// that are not within others. Nothing where it is no list of numbers of 1 to kMostThreads.
std::optional<int> threads_of_variable(std::string_view value);

/// `threads` as from --threads, 0 if nobody gave it. Notes an OMP_NUM_THREADS that makes no sense.
ProcessOptions process_options(Output& output, int threads, std::optional<Isa> isa = {});

}  // namespace adaspan
