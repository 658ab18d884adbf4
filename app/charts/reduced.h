// SPDX-License-Identifier: MIT
// Fewer points that look the same.
#pragma once

#include <cstddef>
#include <vector>

#include "app/charts/axis.h"

namespace adaspan {

struct Points {
  std::vector<double> x, y;
};

/// Of the points that fall into the same of `columns` equal parts of the scale, only those of the
/// least and the largest y, in their order; so no peak is lost. x does not fall. A y that is no
/// number is a gap, of which one point stays.
Points reduced(const Points& all, const Scale& x, int columns);

/// At most `most` of the places 0 to n - 1, evenly spread, with the first and the last.
std::vector<size_t> spread_places(size_t n, size_t most = 200);

}  // namespace adaspan
