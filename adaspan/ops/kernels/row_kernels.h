// SPDX-License-Identifier: MIT
// The innermost loops over one row of numbers, written in the vectors of level_vectors.h. The same
// source is compiled for several instruction sets (row_kernels_level.cpp); the level in use is that
// of isa(). Rows lie without gaps; n is their length. Outputs come first.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/core/bf16.h>
#include <adaspan/core/random.h>

namespace adaspan {

/// The numbers of one update by Adam; the rule is in train/optim.
struct AdamNumbers {
  float rate, root, factor;
  float mean_decay, mean_share;      ///< of m before, and of the gradient
  float square_decay, square_share;  ///< of v before, and of the gradient's square
  float epsilon;
};

/// T, float or bf16, is the type that activations have in memory. All arithmetic is in f32, a
/// result is rounded once, when it is written, and parameters, sums, statistics and scores are f32.
template <class T = float>
struct RowKernels {
  const char* level;  ///< "plain", "avx2", "avx512"

  /// y = x, rounded to T
  void (*narrow)(T* y, const float* x, int64_t n);
  /// y = a + b; y may be a or b
  void (*add)(T* y, const T* a, const T* b, int64_t n);
  /// sums += x
  void (*add_to_sums)(float* sums, const T* x, int64_t n);

  /// y = x / (1 - rate) where random number first + i of the stream is at least rate, else 0; y may
  /// be x
  void (*dropout)(T* y, const T* x, float rate, const RandomKey& key, uint64_t first, int64_t n);
  /// y = dropout(max(0, y)), in place
  void (*relu_dropout)(T* y, float rate, const RandomKey& key, uint64_t first, int64_t n);
  /// dy = dy scale where y > 0, else 0, in place; and column_sums += dy. For y = max(0, x), and
  /// with scale = 1 / (1 - rate) for y = dropout(max(0, x)).
  void (*relu_backward)(T* dy, const T* y, float scale, float* column_sums, int64_t n);

  /// y = (x - mean) rstd gain + bias; writes mean and rstd = 1/sqrt(variance + epsilon).
  void (*layer_norm)(T* y, float* mean, float* rstd, const T* x, const float* gain,
                     const float* bias, float epsilon, int64_t n);
  /// dx from dy, which may be the same row; adds to dgain and dbias.
  void (*layer_norm_backward)(T* dx, float* dgain, float* dbias, const T* dy, const T* x,
                              const float* gain, float mean, float rstd, int64_t n);

  // These are of f32 rows whatever T is.

  /// y += factor x
  void (*add_scaled)(float* y, float factor, const float* x, int64_t n);
  /// y = m e^x / sum(m e^x), e = e^x / sum(m e^x), at most 2^26; no mask means m = 1 (and e may be
  /// null). An m below 2^-50 is 0: y is, too, whatever x is. All zeros where no m is above that.
  void (*softmax)(float* y, float* e, const float* x, const float* mask, int64_t n);
  /// log(sum(e^x))
  float (*log_sum_exp)(const float* x, int64_t n);
  /// dx = (e^(x - log_sum) - [i == target]) factor; the target may lie outside of the row
  void (*cross_entropy_backward)(float* dx, const float* x, float log_sum, int64_t target,
                                 float factor, int64_t n);
  /// sum of a b
  float (*dot)(const float* a, const float* b, int64_t n);
  /// s[j] = q . k_j, k_j the row at k + j*stride, j < rows
  void (*dots)(float* s, const float* q, const float* k, int64_t stride, int64_t rows, int64_t n);
  /// o = sum_j a[j] v_j, v_j the row at v + j*stride, j < rows
  void (*mix)(float* o, const float* a, const float* v, int64_t stride, int64_t rows, int64_t n);

  // Updates of parameters p from their gradient g; the rules and their constants are in
  // train/optim. adagrad and adam take |g| (adam: |factor g|) above 2^48 for 2^48: its square must
  // be a number, as a sum of squares that once is infinite stops its parameter for good.

  /// sum of g g, in double precision
  double (*sum_of_squares)(const float* g, int64_t n);
  /// v = momentum v + factor g;  p -= rate v
  void (*sgd)(float* p, float* v, const float* g, float rate, float momentum, float factor,
              int64_t n);
  /// G += g g;  p -= rate g / (sqrt(G) + epsilon)
  void (*adagrad)(float* p, float* G, const float* g, float rate, float epsilon, int64_t n);
  /// d = factor g;  m = mean_decay m + mean_share d;  v = square_decay v + square_share d d;
  /// p -= rate m / (sqrt(v) / root + epsilon)
  void (*adam)(float* p, float* m, float* v, const float* g, const AdamNumbers& numbers, int64_t n);
};

/// The kernels of the level in use, isa().
template <class T = float>
const RowKernels<T>& row_kernels();
/// All levels that this processor can run, worst first.
template <class T = float>
std::vector<const RowKernels<T>*> available_row_kernels();

}  // namespace adaspan
