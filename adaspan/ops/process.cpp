// SPDX-License-Identifier: MIT
#include "adaspan/ops/process.h"

#include <fmt/format.h>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/onednn.h"

namespace adaspan {

std::string Process::text() const {
  return fmt::format("{} thread{}, {}", threads, threads == 1 ? "" : "s", name(isa));
}

Process open_process(const ProcessOptions& options) {
  require(options.threads >= 0,
          "[process] expected process.threads of at least 0; got {}; 0 stands for OMP_NUM_THREADS, "
          "or all "
          "processors there are",
          options.threads);
  const Isa before = isa();
  set_isa(options.isa.value_or(best_isa()));
  try {
    limit_products_to_isa();
  } catch (...) {
    set_isa(before);  // all or nothing
    throw;
  }
  set_threads(options.threads > 0 ? options.threads : default_threads());
  return {threads(), isa()};
}

}  // namespace adaspan
