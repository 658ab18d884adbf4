// SPDX-License-Identifier: MIT
// A Unit of band products (band_products.h) made of vectors: 4 rows of up to kVectors vectors,
// whose sums stay in registers.
//   Lanes: Sum, a vector of kWidth f32 sums; Left, one group of the left operand in each lane;
//   Right, one group of each of kWidth columns; and sum + left * right
#pragma once

#include <adaspan/ops/kernels/band_products.h>

namespace adaspan {

template <class Lanes, class T, int kMostVectors>
struct VectorUnit {
  static constexpr int64_t kRows = 4, kWidth = Lanes::kWidth, kGroups = 1;
  static constexpr int kVectors = kMostVectors;

  static void start() {}

  template <int V>
  static void block(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                    int64_t groups, bool add) {
    typename Lanes::Sum sum[kRows][V];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sum[i][v] = add ? Lanes::load(c + i * c_stride + v * kWidth) : Lanes::zero();
      }
    }
    for (int64_t g = 0; g < groups; ++g) {
      typename Lanes::Right right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        right[v] = Lanes::right(b + (g * b_stride + v * kWidth) * kGroup<T>);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        const typename Lanes::Left left = Lanes::left(a.data + i * a.row + g * a.step);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[i][v] = Lanes::multiply_add(sum[i][v], left, right[v]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) Lanes::store(c + i * c_stride + v * kWidth, sum[i][v]);
    }
  }
};

}  // namespace adaspan
