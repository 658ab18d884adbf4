// SPDX-License-Identifier: MIT
// From what a model says of the next token to a token. In this order, each on what the one before
// has left:
//   temperature  p ~ p^(1/temperature); 0: only the likeliest token is left
//   top_k        only the k likeliest tokens                              0: all
//   top_p        only the likeliest whose p add up to top_p, one at least (Holtzman et al. 2020)
//                                                                         1: all
//   min_p        only tokens whose p is at least min_p times the likeliest one's
//                                                                         0: all
// Among equally likely tokens the lower id comes first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace adaspan {

struct SamplingOptions {
  double temperature = 0.8;
  int64_t top_k = 0;
  double top_p = 1;
  double min_p = 0;
};

/// Throws Error, naming the field, when one is out of range.
void check(const SamplingOptions& options);

/// The probabilities that a token is drawn by, from log p: those of tokens that were left out are
/// 0, and all add up to 1. Throws Error when a log p is not a number.
std::vector<double> sampling_probabilities(std::span<const float> log_p,
                                           const SamplingOptions& options);

/// The token, by its id, at which the sum of probabilities passes `uniform`, in [0, 1).
int32_t draw(std::span<const double> probabilities, double uniform);

}  // namespace adaspan
