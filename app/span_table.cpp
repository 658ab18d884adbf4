// SPDX-License-Identifier: MIT
#include "app/span_table.h"

#include <fmt/core.h>

#include "adaspan/ops/span_mask.h"

namespace adaspan {

std::string span_table(const std::vector<std::vector<float>>& spans, int64_t ramp,
                       int64_t span_limit) {
  std::string table = "  layer";
  for (size_t h = 0; h < (spans.empty() ? 0 : spans[0].size()); ++h) {
    table += fmt::format("  head {:<2}", h);
  }
  table += "\n";
  for (size_t l = 0; l < spans.size(); ++l) {
    table += fmt::format("  {:>5}", l);
    for (float z : spans[l]) {
      table += fmt::format("  {:>7}", span_reach(z, ramp, span_limit));
    }
    table += "\n";
  }
  return table;
}

}  // namespace adaspan
