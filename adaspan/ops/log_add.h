// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

namespace adaspan {

/// log(e^a + e^b), which joins log-sums of parts; NaN where one of them is.
inline double log_add(double a, double b) {
  const double top = a > b ? a : b;
  if (top == -std::numeric_limits<double>::infinity()) return a + b;
  return top + std::log(std::exp(a - top) + std::exp(b - top));
}

}  // namespace adaspan
