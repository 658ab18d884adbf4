// SPDX-License-Identifier: MIT
// How the passes (tiles/tile_passes.h) are cut into pieces for threads, and what the pieces sum to.
#include "adaspan/ops/span_attention_tiles.h"

#include <algorithm>
#include <numeric>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/tiles/tile_passes.h"

namespace adaspan {
namespace {

// Chunks of (sequence, head) pairs, each of which sums dp by itself: also the most threads in use.
constexpr int64_t kChunks = 32;

/// Calls body(pass, chunk, b, h) for every sequence and head.
template <template <class> class Pass, class T, class Body>
void for_each_head(const Setting<T>& s, const Body& body) {
  const int64_t items = s.n.B * s.n.K, chunk = (items + kChunks - 1) / kChunks;
  parallel_chunks(items, chunk, [&](int64_t begin, int64_t end) {
    Pass<T> pass(s);
    for (int64_t i = begin; i < end; ++i) body(pass, begin / chunk, i / s.n.K, i % s.n.K);
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

/// dp [D,S] = the sum over chunks, in their order, of partial [chunks, widest + slack, width]
template <class T>
Tensor sum_positions(const Setting<T>& s, const Tensor& partial) {
  const SpanAttentionSizes& n = s.n;
  Tensor dp = Tensor::zeros({n.D, n.S});
  const int64_t chunks = partial.shape()[0], known = std::min(s.widest, n.S);
  parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(s.width));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int64_t c = 0; c < chunks; ++c) {
        const int64_t row = c * partial.shape()[1] + s.widest - known + i;
        row_kernels<float>().add_scaled(sum.data(), 1, partial.data() + row * s.width, n.D);
      }
      for (int64_t d = 0; d < n.D; ++d) {
        dp.data()[d * n.S + n.S - known + i] = sum[static_cast<size_t>(d)];
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
  Tensor dp = Tensor::zeros({std::min(kChunks, n.B * n.K), s.widest + kSlack, s.width});
  Tensor dz({n.B, n.K});
  for_each_head<BackwardPass>(s, [&](BackwardPass<T>& pass, int64_t chunk, int64_t b, int64_t h) {
    dz.data()[b * n.K + h] =
        pass.run(b, h, dout, scales, dp.data() + chunk * dp.shape()[1] * s.width, d);
  });
  d.p = sum_positions(s, dp);
  if (x.z != nullptr && !x.dynamic()) {
    for (int64_t i = 0; i < n.B * n.K; ++i) d.z.data()[i % n.K] += dz.data()[i];
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
