// SPDX-License-Identifier: MIT
#include "adaspan/ops/process.h"

#include <fmt/format.h>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/onednn.h"

namespace adaspan {

std::string Process::text() const {
  return fmt::format("{} thread{} ({}), {}", threads, threads == 1 ? "" : "s", why, name(isa));
}

Process open_process(const ProcessOptions& options) {
  require(options.threads >= 0,
          "[process] expected process.threads of at least 0; got {}; 0 stands for OMP_NUM_THREADS, "
          "or as many as this process may use",
          options.threads);
  const Isa before = isa();
  set_isa(options.isa.value_or(best_isa()));
  try {
    limit_products_to_isa();
  } catch (...) {
    set_isa(before);  // all or nothing
    throw;
  }
  const ThreadChoice choice =
      options.threads > 0 ? ThreadChoice{options.threads, options.why} : default_threads();
  set_threads(choice.threads);
  return {choice.threads, choice.why, isa()};
}

}  // namespace adaspan
