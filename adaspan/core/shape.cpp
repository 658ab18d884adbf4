// SPDX-License-Identifier: MIT
#include "adaspan/core/shape.h"

#include <fmt/core.h>

#include <functional>
#include <numeric>

namespace adaspan {

int64_t Shape::elements() const {
  return std::accumulate(extents_.begin(), extents_.end(), int64_t{1}, std::multiplies<>());
}

int64_t Shape::rows() const {
  if (extents_.empty()) return 1;
  return std::accumulate(extents_.begin(), extents_.end() - 1, int64_t{1}, std::multiplies<>());
}

Shape Shape::with_last(int64_t extent) const {
  std::vector<int64_t> extents = extents_;
  extents.at(extents.size() - 1) = extent;
  return Shape(std::move(extents));
}

std::string Shape::text() const {
  std::string extents;
  for (int64_t extent : extents_) {
    extents += fmt::format("{}{}", extents.empty() ? "" : ", ", extent);
  }
  return fmt::format("[{}]", extents);
}

}  // namespace adaspan
