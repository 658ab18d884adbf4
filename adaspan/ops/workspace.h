// SPDX-License-Identifier: MIT
// How many bytes ops take while they run, beside what they read, return and save: copies of weights
// in other layouts, sums in parts, tiles of scores. Counted from the sizes alone, as the ops count
// them, for the instruction set and the number of threads in use; as doubles, which sizes that no
// machine has do not overflow.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/core/tensor.h>

namespace adaspan {

/// Of a buffer of so many elements, as the pool reserves it.
double buffer_bytes(double elements, DType type = DType::f32);

/// Of op linear: x [rows, in] and weights [out, in], `stacked` from several or one.
struct LinearSizes {
  int64_t rows, in, out;
  DType x, y;  ///< types
  bool stacked = false;
};
double linear_workspace(const LinearSizes& n);
double linear_backward_workspace(const LinearSizes& n);

/// Of op linear_cross_entropy: x [rows, in] and weights [V, in].
struct LogitSizes {
  int64_t rows, in, V;
  DType x;
};
double linear_cross_entropy_workspace(const LogitSizes& n);
double linear_cross_entropy_backward_workspace(const LogitSizes& n);

/// Of layer norm, backward: x [rows, H].
double layer_norm_backward_workspace(int64_t rows, int64_t H);

/// Of a layer's heads: K of width D, for a block of M steps of B sequences.
struct AttentionSizes {
  int64_t M, B, K, D, S, P;
  std::vector<int64_t> effective_spans, memory_steps;  ///< of each head
  int64_t segments;                                    ///< that the memory lies in, about
  DType type;
  bool dropout;
  DType memory_type;  ///< of the memory that keys and values are made from

  int64_t H() const { return K * D; }
  double total_memory_steps() const;
};
double memory_projection_workspace(const AttentionSizes& n);
double memory_projection_backward_workspace(const AttentionSizes& n);
double span_attention_workspace(const AttentionSizes& n);
double span_attention_backward_workspace(const AttentionSizes& n);

}  // namespace adaspan
