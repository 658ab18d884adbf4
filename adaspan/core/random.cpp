// SPDX-License-Identifier: MIT
#include "adaspan/core/random.h"

#include <cmath>
#include <numbers>

namespace adaspan {

uint32_t random_bits(const RandomKey& key, uint64_t i) {
  return random_group(key, i / 4)[i % 4];
}

double random_uniform(const RandomKey& key, uint64_t i) {
  return random_bits(key, i) * 0x1p-32;
}

double random_normal(const RandomKey& key, uint64_t i) {
  const auto group = random_group(key, i);
  const double u = (group[0] + 1.0) * 0x1p-32;  // in (0, 1]: its logarithm is finite
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * (group[1] * 0x1p-32));
}

}  // namespace adaspan
