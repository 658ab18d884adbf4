// SPDX-License-Identifier: MIT
// Fused span attention, tile by tile: 64 queries of one head and sequence at a time, against the
// keys that they see. Only the scores of one tile exist at any time, forward and backward; the
// backward pass computes them again: 3 multiply-adds for each query, key and channel forward, 8
// backward, of which 2 are done a second time. Defined in span_attention.cpp, beside the op;
// declared here so that benches and tests can choose the kernels.
#pragma once

#include <adaspan/core/tensor.h>
#include <adaspan/ops/kernels/span_kernels.h>
#include <adaspan/ops/span_attention.h>

namespace adaspan {

/// Values that a pass reads; shapes as in SpanAttentionInputs.
struct SpanAttentionValues {
  const Tensor& qkv;
  const Tensor& memory_kv;
  const Tensor& p;
  const Tensor* z;                            ///< null: fixed spans
  const Tensor* persistent_keys = nullptr;    ///< null: none
  const Tensor* persistent_values = nullptr;  ///< null: none

  /// A span for each query.
  bool dynamic() const { return z != nullptr && z->shape().rank() == 3; }
};

/// A head of one sequence.
struct HeadPlace {
  int64_t b, h;
};

struct SpanAttentionSizes {
  int64_t M, B, K, D, S;
  int64_t P;  ///< persistent vectors
  int64_t H() const { return K * D; }

  /// The heads of all sequences in the order in which they are worked on. With persistent vectors
  /// all sequences of a head come one after another: a part of the work then adds up gradients of
  /// one head, or of few.
  HeadPlace place(int64_t i) const {
    return P > 0 ? HeadPlace{i % B, i / B} : HeadPlace{i / K, i % K};
  }
  int64_t number(HeadPlace at) const { return P > 0 ? at.h * B + at.b : at.b * K + at.h; }
};
inline SpanAttentionSizes sizes_of(const SpanAttentionValues& x,
                                   const SpanAttentionOptions& options) {
  const Shape& qkv = x.qkv.shape();
  const auto K = static_cast<int64_t>(options.effective_spans.size());
  const int64_t P = x.persistent_keys != nullptr ? x.persistent_keys->shape()[2] : 0;
  return {qkv[0], qkv[1], K, qkv[2] / 3 / K, x.p.shape()[1], P};
}

/// [B,K,M] each: what the weights of a query are made from again (SoftmaxScale).
struct SoftmaxScales {
  Tensor top, scale;

  SoftmaxScale at(int64_t i) const { return {top.data()[i], scale.data()[i]}; }
};

/// out [M,B,H]
struct SpanAttentionForward {
  Tensor out;
  SoftmaxScales scales;
};
SpanAttentionForward span_attention_forward(const SpanAttentionValues& x,
                                            const SpanAttentionOptions& options,
                                            const SpanKernelTables& kernels = span_kernels());

/// Gradients of the inputs; each of the type and shape of its value.
struct SpanAttentionGradients {
  Tensor qkv, memory_kv, p;
  Tensor z = {};                                        ///< empty for fixed spans
  Tensor persistent_keys = {}, persistent_values = {};  ///< empty where there are none
};
SpanAttentionGradients span_attention_backward(const SpanAttentionValues& x,
                                               const SpanAttentionOptions& options,
                                               const SoftmaxScales& scales, const Tensor& dout,
                                               const SpanKernelTables& kernels = span_kernels());

}  // namespace adaspan
