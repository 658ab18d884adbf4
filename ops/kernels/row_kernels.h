// SPDX-License-Identifier: MIT
// The innermost loops over one row of numbers, in plain C++ that a compiler turns into vector code.
// The same source is compiled for several instruction sets (row_kernels_level.cpp); the program
// picks a level when it runs. Rows lie without gaps; n is their length. Outputs come first.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/random.h"

namespace adaspan {

struct RowKernels {
  const char* level;  ///< "plain", "avx2", "avx512"

  /// y = a + b
  void (*add)(float* y, const float* a, const float* b, int64_t n);
  /// y += factor x
  void (*add_scaled)(float* y, float factor, const float* x, int64_t n);
  /// dx = dy where y > 0, else 0
  void (*relu_backward)(float* dx, const float* dy, const float* y, int64_t n);

  /// y = x / (1 - rate) where random number first + i of the stream is at least rate, else 0
  void (*dropout)(float* y, const float* x, float rate, const RandomKey& key, uint64_t first,
                  int64_t n);

  /// y = (x - mean) rstd gain + bias; writes mean and rstd = 1/sqrt(variance + epsilon).
  void (*layer_norm)(float* y, float* mean, float* rstd, const float* x, const float* gain,
                     const float* bias, float epsilon, int64_t n);
  /// dx from dy; adds to dgain and dbias.
  void (*layer_norm_backward)(float* dx, float* dgain, float* dbias, const float* dy,
                              const float* x, const float* gain, float mean, float rstd, int64_t n);

  /// y = m e^x / sum(m e^x), e = e^x / sum(m e^x); no mask means m = 1 (and e may be null). All
  /// zeros where no m is above 0.
  void (*softmax)(float* y, float* e, const float* x, const float* mask, int64_t n);
  /// log(sum(e^x))
  float (*log_sum_exp)(const float* x, int64_t n);
  /// dx = (e^(x - log_sum) - [i == target]) factor
  void (*cross_entropy_backward)(float* dx, const float* x, float log_sum, int64_t target,
                                 float factor, int64_t n);
  /// sum of a b
  float (*dot)(const float* a, const float* b, int64_t n);

  /// s[j] = q . k_j, k_j the row at k + j*stride, j < rows
  void (*dots)(float* s, const float* q, const float* k, int64_t stride, int64_t rows, int64_t n);
  /// o = sum_j a[j] v_j, v_j the row at v + j*stride, j < rows
  void (*mix)(float* o, const float* a, const float* v, int64_t stride, int64_t rows, int64_t n);
};

/// The kernels of the best level that this processor can run.
const RowKernels& row_kernels();
/// All levels that this processor can run, worst first.
std::vector<const RowKernels*> available_row_kernels();

}  // namespace adaspan
