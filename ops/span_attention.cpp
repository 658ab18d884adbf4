// SPDX-License-Identifier: MIT
#include "ops/span_attention.h"

#include <numeric>

#include "core/error.h"

namespace adaspan {

void check_span_attention(const SpanAttentionInputs& x, const SpanAttentionOptions& options) {
  const Shape& q = x.q.shape();
  const auto K = static_cast<int64_t>(options.spans.size());
  require(q.rank() == 3 && x.k.shape() == q && x.v.shape() == q,
          "[span_attention] expected q, k and v of one shape [M,B,H]; got {}, {} and {}", q.text(),
          x.k.shape().text(), x.v.shape().text());
  require(
      K > 0 && q[2] % K == 0 && options.reaches.size() == options.spans.size(),
      "[span_attention] expected a span and a reach for each of K heads that divide H = {}; got "
      "{} and {}",
      q[2], K, options.reaches.size());
  const int64_t M = q[0], B = q[1], D = q[2] / K;
  require(x.p.shape().rank() == 2 && x.p.shape()[0] == D,
          "[span_attention] expected positions [D,S] with D = {}; got {}", D, x.p.shape().text());
  const int64_t S = x.p.shape()[1];
  for (int64_t h = 0; h < K; ++h) {
    const int64_t span = options.spans[h], reach = options.reaches[h];
    require(span >= 1 && span <= S && reach >= 0 && reach <= span,
            "[span_attention] expected spans in [1, {}] and reaches in [0, span]; got {} and {} of "
            "head {}",
            S, span, reach, h);
  }
  const int64_t total = std::accumulate(options.reaches.begin(), options.reaches.end(), int64_t{0});
  const Shape memory{total, B, D};
  require(x.memory_k.shape() == memory && x.memory_v.shape() == memory,
          "[span_attention] expected keys and values of the memory of shape {}; got {} and {}",
          memory.text(), x.memory_k.shape().text(), x.memory_v.shape().text());
  require(!x.z || x.z.shape() == Shape{K} || x.z.shape() == Shape{M, B, K},
          "[span_attention] expected spans z of shape [{}] or {}; got {}", K, Shape{M, B, K}.text(),
          x.z ? x.z.shape().text() : "none");
  require(options.ramp >= 1, "[span_attention] expected a ramp R of at least 1; got {}",
          options.ramp);
}

}  // namespace adaspan
