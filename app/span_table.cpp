// SPDX-License-Identifier: MIT
#include "app/span_table.h"

#include <fmt/core.h>

#include "adaspan/ops/span_mask.h"

namespace adaspan {

Reaches reaches_of(const std::vector<std::vector<float>>& spans, int64_t ramp, int64_t span_limit) {
  Reaches reaches;
  for (const auto& layer : spans) {
    auto& row = reaches.emplace_back();
    for (float z : layer) row.push_back(span_reach(z, ramp, span_limit));
  }
  return reaches;
}

std::string span_table(const Reaches& reaches) {
  std::string table = "  layer";
  for (size_t h = 0; h < (reaches.empty() ? 0 : reaches[0].size()); ++h) {
    table += fmt::format("  head {:<2}", h);
  }
  table += "\n";
  for (size_t l = 0; l < reaches.size(); ++l) {
    table += fmt::format("  {:>5}", l);
    for (int64_t reach : reaches[l]) table += fmt::format("  {:>7}", reach);
    table += "\n";
  }
  return table;
}

}  // namespace adaspan
