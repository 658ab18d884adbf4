// SPDX-License-Identifier: MIT
#include "adaspan/train/data/cluster_shares.h"

#include <algorithm>

namespace adaspan {

std::vector<double> cluster_shares(const ModelConfig& config, const TokenFile& text) {
  if (!config.adaptive_io.on || text.size() == 0) return {};
  constexpr int64_t kChunk = 1 << 16;
  const std::vector<int64_t>& cutoffs = config.adaptive_io.cutoffs;
  std::vector<double> shares(cutoffs.size() + 1);
  std::vector<int32_t> ids(kChunk);
  for (int64_t begin = 0; begin < text.size(); begin += kChunk) {
    const int64_t n = std::min(kChunk, text.size() - begin);
    text.read(begin, n, ids.data());
    for (int64_t i = 0; i < n; ++i) {
      const auto cluster = std::ranges::upper_bound(cutoffs, ids[static_cast<size_t>(i)]);
      shares[static_cast<size_t>(cluster - cutoffs.begin())] += 1;
    }
  }
  for (double& share : shares) share /= static_cast<double>(text.size());
  return shares;
}

}  // namespace adaspan
