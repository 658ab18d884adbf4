// SPDX-License-Identifier: MIT
// The loops of a decoder, which has one row for each text where training has hundreds: every weight
// is read for a few multiplications, so that they are as fast as memory is. The level in use is
// that of isa().
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/core/bf16.h>

namespace adaspan {

inline constexpr int64_t kTile = 16;  ///< keys of a tile

/// T, float or bf16, is the type in which weights, keys and values are stored. All arithmetic is in
/// f32. Each sum is taken in the same order whatever the number of rows and of texts.
template <class T>
struct DecodeKernels {
  const char* level;  ///< "plain", "avx2", "avx512"

  /// y[n y_stride + r] = w_r . x_n, w_r the row of n_in numbers at w + r n_in, x_n that at
  /// x + n x_stride; for r < rows and n < N
  void (*products)(float* y, int64_t y_stride, const T* w, int64_t rows, int64_t n_in,
                   const float* x, int64_t x_stride, int64_t N);
  /// s[16 i + lane] = q . k, k[d] = tiles[(i D + d) 16 + lane], for i < count
  void (*scores)(float* s, const float* q, const T* tiles, int64_t count, int64_t D);
  /// s = m e^(s - top), and its sum, for n scores; no mask means m = 1
  float (*exponentials)(float* s, const float* mask, float top, int64_t n);
  /// The largest score whose mask is above 0; -infinity where there is none
  float (*top)(const float* s, const float* mask, int64_t n);
  /// o += sum_j a[j] v_j, v_j the row of D numbers at v + j D, for j < rows
  void (*mix)(float* o, const float* a, const T* v, int64_t rows, int64_t D);
};

/// The kernels of the level in use, isa().
template <class T>
const DecodeKernels<T>& decode_kernels();
/// All levels that this processor can run, worst first.
template <class T>
std::vector<const DecodeKernels<T>*> available_decode_kernels();

}  // namespace adaspan
