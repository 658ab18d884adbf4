// SPDX-License-Identifier: MIT
// The extents of a tensor, outermost first. Size letters used throughout the project:
//   B sequences   M block length   L layers   H hidden size   K heads   D = H/K head width
//   S span limit  R ramp           V vocabulary   F inner size   C cached steps   E effective span
//   P persistent vectors of a head
// Activations are [M,B,H]: time first, so that a layer's memory and its block are one run of rows.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace adaspan {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) : extents_(extents) {}
  explicit Shape(std::vector<int64_t> extents) : extents_(std::move(extents)) {}

  int64_t rank() const { return static_cast<int64_t>(extents_.size()); }
  /// Extent of axis `i`; negative counts from the last axis. The axis must exist.
  int64_t operator[](int64_t i) const { return extents_.at(i < 0 ? i + extents_.size() : i); }
  /// Product of all extents; 1 for a scalar.
  int64_t elements() const;
  /// Product of all extents but the last: the tensor seen as a matrix has this many rows.
  int64_t rows() const;
  /// The same shape with another last extent.
  Shape with_last(int64_t extent) const;
  const std::vector<int64_t>& extents() const { return extents_; }
  /// "[64, 256]"
  std::string text() const;

  bool operator==(const Shape&) const = default;

 private:
  std::vector<int64_t> extents_;
};

}  // namespace adaspan
