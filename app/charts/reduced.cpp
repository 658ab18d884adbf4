// SPDX-License-Identifier: MIT
#include "app/charts/reduced.h"

#include <algorithm>
#include <cmath>

namespace adaspan {

Points reduced(const Points& all, const Scale& x, int columns) {
  const auto column = [&](size_t i) {
    return std::floor((x.at(all.x[i]) - x.from) / (x.to - x.from) * columns);
  };
  Points kept;
  const auto keep = [&](size_t i) {
    kept.x.push_back(all.x[i]);
    kept.y.push_back(all.y[i]);
  };
  for (size_t begin = 0, end = 0; begin < all.x.size(); begin = end) {
    end = begin + 1;
    if (!std::isfinite(all.y[begin])) {
      if (kept.y.empty() || std::isfinite(kept.y.back())) keep(begin);
      continue;
    }
    size_t least = begin, largest = begin;
    const double here = column(begin);
    for (; end < all.x.size() && std::isfinite(all.y[end]) && column(end) == here; ++end) {
      if (all.y[end] < all.y[least]) least = end;
      if (all.y[end] > all.y[largest]) largest = end;
    }
    keep(std::min(least, largest));
    if (least != largest) keep(std::max(least, largest));
  }
  return kept;
}

std::vector<size_t> spread_places(size_t n, size_t most) {
  std::vector<size_t> places;
  const size_t count = std::min(n, most);
  for (size_t i = 0; i < count; ++i) {
    places.push_back(count == 1 ? n - 1 : i * (n - 1) / (count - 1));
  }
  return places;
}

}  // namespace adaspan
