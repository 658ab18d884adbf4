// SPDX-License-Identifier: MIT
// How the passes (tiles/tile_passes.h) are shared among threads, and what their parts add up to.
#include "adaspan/ops/span_attention_tiles.h"

#include <algorithm>
#include <numeric>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/tiles/tile_passes.h"

namespace adaspan {
namespace {

// Most parts of the pairs of sequence and head, each of which has a dp of its own: also the most
// threads in use.
constexpr int64_t kParts = 32;

int64_t pairs_per_part(const SpanAttentionSizes& n) {
  return chunk_count(n.B * n.K, kParts);
}

/// Calls body(pass, part, b, h) for every sequence and head.
template <template <class> class Pass, class T, class Body>
void for_each_head(const Setting<T>& s, const Body& body) {
  const int64_t K = s.n.K;
  parallel_parts(s.n.B * K, pairs_per_part(s.n), [&](int64_t part, int64_t begin, int64_t end) {
    Pass<T> pass(s);
    for (int64_t i = begin; i < end; ++i) body(pass, part, i / K, i % K);
  });
}

template <class T>
SpanAttentionForward forward(const SpanAttentionValues& x, const SpanAttentionOptions& options,
                             const SpanKernelTables& kernels) {
  const Setting<T> s(x, options, kernels);
  const SpanAttentionSizes& n = s.n;
  SpanAttentionForward result{Tensor({n.M, n.B, n.H()}, x.qkv.type()),
                              {Tensor({n.B, n.K, n.M}), Tensor({n.B, n.K, n.M})}};
  for_each_head<ForwardPass>(
      s, [&](ForwardPass<T>& pass, int64_t, int64_t b, int64_t h) { pass.run(b, h, result); });
  return result;
}

/// dp [D,S] = the sum of parts [parts, widest + slack, width], whose row j is distance widest - j
template <class T>
Tensor sum_positions(const Setting<T>& s, const Tensor& parts) {
  const SpanAttentionSizes& n = s.n;
  const int64_t known = std::min(s.widest, n.S), first = s.widest - known;
  Tensor sum = Tensor::zeros({known, s.width});
  add_in_order(parts.shape()[0], known, 64, [&](int64_t part, int64_t begin, int64_t end) {
    const float* rows = parts.data() + (part * parts.shape()[1] + first) * s.width;
    row_kernels<float>().add_scaled(sum.data() + begin * s.width, 1, rows + begin * s.width,
                                    (end - begin) * s.width);
  });
  Tensor dp = Tensor::zeros({n.D, n.S});
  parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t d = 0; d < n.D; ++d) {
        dp.data()[d * n.S + n.S - known + i] = sum.data()[i * s.width + d];
      }
    }
  });
  return dp;
}

template <class T>
SpanAttentionGradients backward(const SpanAttentionValues& x, const SpanAttentionOptions& options,
                                const SoftmaxScales& scales, const Tensor& dout,
                                const SpanKernelTables& kernels) {
  const Setting<T> s(x, options, kernels);
  const SpanAttentionSizes& n = s.n;
  SpanAttentionGradients d{Tensor(x.qkv.shape(), x.qkv.type()),
                           Tensor(x.memory_kv.shape(), x.qkv.type()), Tensor(), Tensor()};
  if (x.z != nullptr) d.z = Tensor::zeros(x.z->shape());
  const int64_t parts = chunk_count(n.B * n.K, pairs_per_part(n));
  Tensor dp = Tensor::zeros({parts, s.widest + kSlack, s.width});
  Tensor dz({n.B, n.K});
  for_each_head<BackwardPass>(s, [&](BackwardPass<T>& pass, int64_t part, int64_t b, int64_t h) {
    dz.data()[b * n.K + h] =
        pass.run(b, h, dout, scales, dp.data() + part * dp.shape()[1] * s.width, d);
  });
  d.p = sum_positions(s, dp);
  if (x.z != nullptr && !x.dynamic()) {
    add_in_order(n.B, n.K, n.K, [&](int64_t b, int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; ++h) d.z.data()[h] += dz.data()[b * n.K + h];
    });
  }
  return d;
}

/// Queries times keys that they see times D.
double pairs(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const SpanAttentionSizes n = sizes_of(x, options);
  const int64_t spans =
      std::accumulate(options.effective_spans.begin(), options.effective_spans.end(), int64_t{0});
  return static_cast<double>(n.M * n.B * n.D) * static_cast<double>(spans);
}

/// Of q, k, v and the memory, read once, and the result.
double forward_bytes(const SpanAttentionValues& x) {
  return static_cast<double>(x.qkv.bytes()) * 4 / 3 + static_cast<double>(x.memory_kv.bytes());
}

}  // namespace

SpanAttentionSizes sizes_of(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const Shape& qkv = x.qkv.shape();
  const auto K = static_cast<int64_t>(options.effective_spans.size());
  return {qkv[0], qkv[1], K, qkv[2] / 3 / K, x.p.shape()[1]};
}

SpanAttentionForward span_attention_forward(const SpanAttentionValues& x,
                                            const SpanAttentionOptions& options,
                                            const SpanKernelTables& kernels) {
  const Timed timed("span attention", 6 * pairs(x, options), forward_bytes(x));
  return with_type(x.qkv.type(),
                   [&](auto type) { return forward<decltype(type)>(x, options, kernels); });
}

SpanAttentionGradients span_attention_backward(const SpanAttentionValues& x,
                                               const SpanAttentionOptions& options,
                                               const SoftmaxScales& scales, const Tensor& dout,
                                               const SpanKernelTables& kernels) {
  const Timed timed("span attention backward", 16 * pairs(x, options), 2 * forward_bytes(x));
  return with_type(x.qkv.type(), [&](auto type) {
    return backward<decltype(type)>(x, options, scales, dout, kernels);
  });
}

}  // namespace adaspan
