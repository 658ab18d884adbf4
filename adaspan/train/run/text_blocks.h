// SPDX-License-Identifier: MIT
// How sure a mean loss is. Losses of neighbouring tokens go together, so that they are no sample;
// blocks of 10,000 tokens nearly are one. With x_j the mean loss of block j, w_j its share of all
// scored tokens and m = sum_j w_j x_j over k blocks:
//   standard error = sqrt(k/(k-1) sum_j w_j^2 (x_j - m)^2)
// So of the differences of two models' losses on the same tokens, which vary much less.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace adaspan {

inline constexpr int64_t kTextBlock = 10000;  ///< tokens

struct MeanAndError {
  double mean = 0;
  std::optional<double> standard_error;  ///< none where there are fewer than 2 blocks
  int64_t blocks = 0;
};

/// Sums of losses over the blocks of a text; a last one that is shorter is part of the one before.
class TextBlocks {
 public:
  /// For a text of n tokens, of which the first is not scored.
  explicit TextBlocks(int64_t n = 0);

  /// The loss of the token at `position` (from 1).
  void add(int64_t position, double loss);

  double nats() const;
  int64_t tokens() const;
  MeanAndError mean() const;

  /// Of (these losses - those of `other`), token by token. Throws Error when the two did not score
  /// equally many tokens of every block.
  MeanAndError mean_difference(const TextBlocks& other) const;

 private:
  std::vector<double> sums_;
  std::vector<int64_t> counts_;
};

}  // namespace adaspan
