// SPDX-License-Identifier: MIT
#include "app/adaptive_io_text.h"

#include <fmt/format.h>

#include <vector>

#include "adaspan/models/clusters.h"

namespace adaspan {

std::string adaptive_io_text(const ModelConfig& config) {
  if (!config.adaptive_io.on) return "";
  std::vector<int64_t> widths;
  for (const Cluster& cluster : clusters_of(config)) widths.push_back(cluster.width);
  return fmt::format("cut-offs {}; widths {}; {}", fmt::join(config.adaptive_io.cutoffs, ", "),
                     fmt::join(widths, ", "), config.adaptive_io.tied ? "tied" : "not tied");
}

}  // namespace adaspan
