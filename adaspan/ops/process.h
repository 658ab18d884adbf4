// SPDX-License-Identifier: MIT
// The door to the process: what is set once for all threads, by whoever owns the process (main, an
// example, a program that embeds this library), before the first computation.
#pragma once

#include <optional>
#include <string>

#include <adaspan/core/cpu.h>

namespace adaspan {

struct ProcessOptions {
  int threads = 0;              ///< 0: default_threads()
  std::string why = "as told";  ///< where `threads` comes from, if not 0
  std::optional<Isa> isa = {};  ///< level of instructions, oneDNN's too; if not given the best
};

struct Process {
  int threads;
  std::string why;  ///< where that number comes from
  Isa isa;
  /// "2 threads (one for each processor), avx512"
  std::string text() const;
};

/// Sets the number of threads and the level of instructions, and returns them. No result depends on
/// the number of threads. Threads may be changed by a later call, the level not after the first
/// product. Throws Error for threads below 0, for a level that this processor does not have, and
/// for another level after the first product.
Process open_process(const ProcessOptions& options = {});

}  // namespace adaspan
