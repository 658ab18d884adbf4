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
          "[process] expected threads of at least 0; got {}; 0 stands for all processors there are",
          options.threads);
  set_isa(options.isa.value_or(best_isa()));
  limit_products_to_isa();
  set_threads(options.threads > 0 ? options.threads : default_threads());
  return {threads(), isa()};
}

}  // namespace adaspan
