// SPDX-License-Identifier: MIT
// Fused span attention, tile by tile: 64 queries of one head and sequence at a time, against the
// keys that they see. Only the scores of one tile exist at any time, forward and backward; the
// backward pass computes them again: 3 multiply-adds for each query, key and channel forward, 8
// backward, of which 2 are done a second time.
#pragma once

#include <adaspan/core/tensor.h>
#include <adaspan/ops/span_attention.h>

namespace adaspan {

/// Values that a pass reads; shapes as in SpanAttentionInputs.
struct SpanAttentionValues {
  const Tensor& qkv;
  const Tensor& memory_kv;
  const Tensor& p;
  const Tensor* z;  ///< null: fixed spans
};

/// out [M,B,H]; scales [B,K,M,2]: for each query its largest score and 1 over the sum of
/// m e^(s - largest), from which the backward pass makes the weights again.
struct SpanAttentionForward {
  Tensor out, scales;
};
SpanAttentionForward span_attention_forward(const SpanAttentionValues& x,
                                            const SpanAttentionOptions& options);

/// Gradients of the inputs; each of the type and shape of its value.
struct SpanAttentionGradients {
  Tensor qkv, memory_kv, p;
  Tensor z;  ///< empty for fixed spans
};
SpanAttentionGradients span_attention_backward(const SpanAttentionValues& x,
                                               const SpanAttentionOptions& options,
                                               const Tensor& scales, const Tensor& dout);

}  // namespace adaspan
