// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace adaspan {

/// Seconds of the fastest of `times` calls.
template <class Work>
double fastest(int64_t times, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  return best;
}

}  // namespace adaspan
