// SPDX-License-Identifier: MIT
// What a query is compared with, kept as a decoder reads it: in tiles of 16 columns, so that one
// score for each of 16 keys is made at once, and memory is read from one end to the other.
//   tile i, [D,16]: component d of the keys 16 i .. 16 i + 15 side by side
#pragma once

#include <cstdint>

#include <adaspan/core/tensor.h>
#include <adaspan/ops/kernels/decode_kernels.h>

namespace adaspan {

/// Room for `count` keys of D numbers, rounded up to whole tiles, all zero.
template <class T>
class KeyTiles {
 public:
  KeyTiles(int64_t count, int64_t D)
      : D_(D), tiles_(Tensor::zeros({(count + kTile - 1) / kTile, D, kTile}, dtype_of<T>)) {}

  /// How many there is room for.
  int64_t size() const { return tiles_.shape()[0] * kTile; }
  const T* tile(int64_t i) const { return tiles_.data<T>() + i * D_ * kTile; }

  /// Sets key c to the numbers k, `step` apart.
  void set(int64_t c, const float* k, int64_t step = 1) {
    T* const to = tiles_.data<T>() + c / kTile * D_ * kTile + c % kTile;
    for (int64_t d = 0; d < D_; ++d) to[d * kTile] = from_float<T>(k[d * step]);
  }

 private:
  int64_t D_;
  Tensor tiles_;
};

}  // namespace adaspan
