// SPDX-License-Identifier: MIT
#include "adaspan/train/run/text_blocks.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

MeanAndError mean_of(const std::vector<double>& sums, const std::vector<int64_t>& counts) {
  const auto n = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  if (n == 0) return {};
  MeanAndError result;
  result.mean = std::accumulate(sums.begin(), sums.end(), 0.0) / n;
  double squares = 0;
  for (size_t j = 0; j < sums.size(); ++j) {
    if (counts[j] == 0) continue;
    const double deviation = (sums[j] - static_cast<double>(counts[j]) * result.mean) / n;
    squares += deviation * deviation;  // (w_j (x_j - m))^2
    ++result.blocks;
  }
  const auto k = static_cast<double>(result.blocks);
  if (result.blocks >= 2) result.standard_error = std::sqrt(k / (k - 1) * squares);
  return result;
}

}  // namespace

TextBlocks::TextBlocks(int64_t n)
    : sums_(static_cast<size_t>(std::max<int64_t>(1, (n - 1) / kTextBlock)), 0),
      counts_(sums_.size(), 0) {}

void TextBlocks::add(int64_t position, double loss) {
  const size_t block = std::min(static_cast<size_t>((position - 1) / kTextBlock), sums_.size() - 1);
  sums_[block] += loss;
  counts_[block] += 1;
}

double TextBlocks::nats() const {
  return std::accumulate(sums_.begin(), sums_.end(), 0.0);
}

int64_t TextBlocks::tokens() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

MeanAndError TextBlocks::mean() const {
  return mean_of(sums_, counts_);
}

MeanAndError TextBlocks::mean_difference(const TextBlocks& other) const {
  require(counts_ == other.counts_,
          "[eval] expected the same tokens of both models; got {} and {}; score both by the exact "
          "protocol, on the same text",
          tokens(), other.tokens());
  std::vector<double> differences(sums_.size());
  std::ranges::transform(sums_, other.sums_, differences.begin(), std::minus());
  return mean_of(differences, counts_);
}

}  // namespace adaspan
