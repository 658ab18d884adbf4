// SPDX-License-Identifier: MIT
// A Unit of band products (band_products.h) made of vectors: 4 rows of up to kVectors vectors,
// whose sums stay in registers.
//   Lanes: Sum, a vector of kWidth f32 sums; Left, one group of the left operand in each lane;
//   Right, one group of each of kWidth columns; and sum + left * right. Lanes::Half: the same for
//   half as many columns, where processors do that in half the time; itself: there is none
#pragma once

#include <type_traits>

#include <adaspan/ops/kernels/band_products.h>

namespace adaspan {

template <class Lanes, class T, int kMostVectors>
struct VectorUnit {
  static constexpr int64_t kRows = 4, kWidth = Lanes::kWidth, kGroups = 1;
  static constexpr int kVectors = kMostVectors;
  static constexpr bool kHalves = !std::is_same_v<typename Lanes::Half, Lanes>;

  static void start() {}

  /// V vectors, of which the last is a half one if `half`.
  template <int V, bool half = false>
  static void block(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                    int64_t groups, bool add) {
    constexpr int kWhole = half ? V - 1 : V;
    using Last = typename Lanes::Half;
    typename Lanes::Sum sum[kRows][V];
    typename Last::Sum last[kRows];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      float* row = c + i * c_stride;
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) {
        sum[i][v] = add ? Lanes::load(row + v * kWidth) : Lanes::zero();
      }
      if constexpr (half) last[i] = add ? Last::load(row + kWhole * kWidth) : Last::zero();
    }
    for (int64_t g = 0; g < groups; ++g) {
      const T* columns = b + g * b_stride * kGroup<T>;
      typename Lanes::Right right[V];
      typename Last::Right last_right;
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) right[v] = Lanes::right(columns + v * kWidth * kGroup<T>);
      if constexpr (half) last_right = Last::right(columns + kWhole * kWidth * kGroup<T>);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        const T* left = a.data + i * a.row + g * a.step;
        const typename Lanes::Left all = Lanes::left(left);
#pragma GCC unroll 4
        for (int v = 0; v < kWhole; ++v) sum[i][v] = Lanes::multiply_add(sum[i][v], all, right[v]);
        if constexpr (half) last[i] = Last::multiply_add(last[i], Last::left(left), last_right);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      float* row = c + i * c_stride;
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) Lanes::store(row + v * kWidth, sum[i][v]);
      if constexpr (half) Last::store(row + kWhole * kWidth, last[i]);
    }
  }
};

}  // namespace adaspan
