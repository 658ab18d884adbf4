// SPDX-License-Identifier: MIT
#include "adaspan/ops/span_attention.h"

#include <memory>
#include <numeric>

#include "adaspan/core/error.h"
#include "adaspan/ops/span_attention_tiles.h"

namespace adaspan {

void check_span_attention(const SpanAttentionInputs& x, const SpanAttentionOptions& options) {
  const Shape& qkv = x.qkv.shape();
  const auto K = static_cast<int64_t>(options.effective_spans.size());
  require(K > 0 && qkv.rank() == 3 && qkv[2] % (3 * K) == 0 &&
              options.memory_steps.size() == options.effective_spans.size(),
          "[span_attention] expected qkv [M,B,3H], and an effective span and memory steps for each "
          "of K heads that divide H; got {}, {} and {}",
          qkv.text(), K, options.memory_steps.size());
  const int64_t M = qkv[0], B = qkv[1], D = qkv[2] / 3 / K;
  require(M >= 1 && B >= 1 && D >= 1, "[span_attention] expected M, B and D of at least 1; got {}",
          qkv.text());
  require(x.p.value().type() == DType::f32 && (!x.z || x.z.value().type() == DType::f32),
          "[span_attention] expected positions and spans of type f32; got {} and {}",
          name(x.p.value().type()), x.z ? name(x.z.value().type()) : "none");
  require(x.p.shape().rank() == 2 && x.p.shape()[0] == D,
          "[span_attention] expected positions [D,S] with D = {}; got {}", D, x.p.shape().text());
  const int64_t S = x.p.shape()[1];
  for (int64_t h = 0; h < K; ++h) {
    const int64_t span = options.effective_spans[h], steps = options.memory_steps[h];
    require(span >= 1 && span <= S && steps >= 0 && steps <= span,
            "[span_attention] expected effective spans in [1, {}] and memory steps in [0, span]; "
            "got {} and {} of head {}",
            S, span, steps, h);
  }
  const int64_t total =
      std::accumulate(options.memory_steps.begin(), options.memory_steps.end(), int64_t{0});
  const Shape memory{total, B, 2 * D};
  require(x.memory_kv.shape() == memory && x.memory_kv.value().type() == x.qkv.value().type(),
          "[span_attention] expected keys and values of the memory of shape {} and type {}; got {} "
          "of type {}",
          memory.text(), name(x.qkv.value().type()), x.memory_kv.shape().text(),
          name(x.memory_kv.value().type()));
  require(!x.z || x.z.shape() == Shape{K} || x.z.shape() == Shape{M, B, K},
          "[span_attention] expected spans z of shape [{}] or {}; got {}", K, Shape{M, B, K}.text(),
          x.z ? x.z.shape().text() : "none");
  require(options.ramp >= 1, "[span_attention] expected a ramp R of at least 1; got {}",
          options.ramp);
  check_dropout("span_attention", options.dropout, B);
}

Variable span_attention(Tape& tape, const SpanAttentionInputs& x,
                        const SpanAttentionOptions& options) {
  check_span_attention(x, options);
  SpanAttentionForward forward = span_attention_forward(
      {x.qkv.value(), x.memory_kv.value(), x.p.value(), x.z ? &x.z.value() : nullptr}, options);
  // saved: the inputs, and each query's largest score and sum; scores are computed again
  return tape.record(
      "span_attention", {x.qkv, x.memory_kv, x.p, x.z}, std::move(forward.out),
      [dqkv = x.qkv.grad(), dmemory_kv = x.memory_kv.grad(), dp = x.p.grad(),
       dz = x.z ? x.z.grad() : GradientRef(), qkv = x.qkv.shared_value(),
       memory_kv = x.memory_kv.shared_value(), p = x.p.shared_value(), z = x.z.shared_value(),
       options, scales = std::make_shared<const SoftmaxScales>(std::move(forward.scales))](
          const Tensor& dout) {
        SpanAttentionGradients d =
            span_attention_backward({*qkv, *memory_kv, *p, z.get()}, options, *scales, dout);
        if (dqkv.wanted()) dqkv.add(std::move(d.qkv));
        if (dmemory_kv.wanted()) dmemory_kv.add(std::move(d.memory_kv));
        if (dp.wanted()) dp.add(std::move(d.p));
        if (dz.wanted()) dz.add(std::move(d.z));
      });
}

}  // namespace adaspan
