// SPDX-License-Identifier: MIT
// The op: how the passes (tiles/tile_passes.h) are shared among threads, what their parts add up
// to, and what is recorded.
#include "adaspan/ops/span_attention.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "adaspan/core/error.h"
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

/// Calls body(pass, part, place) for every sequence and head. There are as many passes as threads
/// at work: their buffers are large, and are made but once.
template <template <class> class Pass, class T, class Body>
void for_each_head(const PassSetup<T>& s, const Body& body) {
  std::mutex mutex;
  std::vector<std::unique_ptr<Pass<T>>> idle;
  parallel_parts(s.n.B * s.n.K, pairs_per_part(s.n), [&](int64_t part, int64_t begin, int64_t end) {
    std::unique_ptr<Pass<T>> pass;
    if (std::lock_guard lock(mutex); !idle.empty()) {
      pass = std::move(idle.back());
      idle.pop_back();
    }
    if (pass == nullptr) pass = std::make_unique<Pass<T>>(s);
    for (int64_t i = begin; i < end; ++i) body(*pass, part, s.n.place(i));
    std::lock_guard lock(mutex);
    idle.push_back(std::move(pass));
  });
}

template <class T>
SpanAttentionForward forward(const SpanAttentionValues& x, const SpanAttentionOptions& options,
                             const SpanKernelTables& kernels) {
  const PassSetup<T> s(x, options, kernels);
  const SpanAttentionSizes& n = s.n;
  SpanAttentionForward result{Tensor({n.M, n.B, n.H()}, x.qkv.type()),
                              {Tensor({n.B, n.K, n.M}), Tensor({n.B, n.K, n.M})}};
  for_each_head<ForwardPass>(
      s, [&](ForwardPass<T>& pass, int64_t, HeadPlace at) { pass.run(at.b, at.h, result); });
  return result;
}

/// dp [D,S] = the sum of parts [parts, widest + slack, width], whose row j is distance widest - j
template <class T>
Tensor sum_positions(const PassSetup<T>& s, const Tensor& parts) {
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
  const PassSetup<T> s(x, options, kernels);
  const SpanAttentionSizes& n = s.n;
  SpanAttentionGradients d{Tensor(x.qkv.shape(), x.qkv.type()),
                           Tensor(x.memory_kv.shape(), x.qkv.type()), Tensor()};
  if (x.z != nullptr) d.z = Tensor::zeros(x.z->shape());
  const int64_t parts = chunk_count(n.B * n.K, pairs_per_part(n));
  Tensor dp = Tensor::zeros({parts, s.widest + kSlack, s.width});
  Tensor dz({n.B, n.K});
  PersistentParts persistent(n, s.width, pairs_per_part(n));
  for_each_head<BackwardPass>(s, [&](BackwardPass<T>& pass, int64_t part, HeadPlace at) {
    dz.data()[at.b * n.K + at.h] =
        pass.run(at.b, at.h, dout, scales, dp.data() + part * dp.shape()[1] * s.width,
                 persistent.of(part, at.h), d);
  });
  d.p = sum_positions(s, dp);
  persistent.sum(d);
  if (x.z != nullptr && !x.dynamic()) {
    add_in_order(n.B, n.K, n.K, [&](int64_t b, int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; ++h) d.z.data()[h] += dz.data()[b * n.K + h];
    });
  }
  return d;
}

/// Queries times keys that they see times D, of steps and of persistent vectors.
struct Pairs {
  double steps, persistent;
};
Pairs pairs(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const SpanAttentionSizes n = sizes_of(x, options);
  const int64_t spans =
      std::accumulate(options.effective_spans.begin(), options.effective_spans.end(), int64_t{0});
  const auto channels = static_cast<double>(n.M * n.B * n.D);
  return {channels * static_cast<double>(spans), channels * static_cast<double>(n.K * n.P)};
}

/// Of q, k, v and the memory, read once, and the result.
double forward_bytes(const SpanAttentionValues& x) {
  return static_cast<double>(x.qkv.bytes()) * 4 / 3 + static_cast<double>(x.memory_kv.bytes());
}

}  // namespace

SpanAttentionForward span_attention_forward(const SpanAttentionValues& x,
                                            const SpanAttentionOptions& options,
                                            const SpanKernelTables& kernels) {
  const auto [steps, persistent] = pairs(x, options);
  const Timed timed("span attention", 6 * steps + 4 * persistent, forward_bytes(x));
  return with_type(x.qkv.type(),
                   [&](auto type) { return forward<decltype(type)>(x, options, kernels); });
}

SpanAttentionGradients span_attention_backward(const SpanAttentionValues& x,
                                               const SpanAttentionOptions& options,
                                               const SoftmaxScales& scales, const Tensor& dout,
                                               const SpanKernelTables& kernels) {
  const auto [steps, persistent] = pairs(x, options);
  const Timed timed("span attention backward", 16 * steps + 10 * persistent, 2 * forward_bytes(x));
  return with_type(x.qkv.type(), [&](auto type) {
    return backward<decltype(type)>(x, options, scales, dout, kernels);
  });
}

namespace {

void check_persistent(const SpanAttentionInputs& x, int64_t K, int64_t D) {
  const Variable &keys = x.persistent_keys, &values = x.persistent_values;
  if (!keys && !values) return;
  const int64_t P = keys && keys.shape().rank() == 3 ? keys.shape()[2] : 0;
  const Shape expected_keys{K, D, P}, expected_values{K, P, D};
  require(P > 0 && keys.shape() == expected_keys && values && values.shape() == expected_values &&
              keys.value().type() == DType::f32 && values.value().type() == DType::f32,
          "[span_attention] expected persistent keys [{},{},P] and values [{},P,{}] of type f32, "
          "or neither; got {} and {}",
          K, D, K, D, keys ? keys.shape().text() + " of type " + name(keys.value().type()) : "none",
          values ? values.shape().text() + " of type " + name(values.value().type()) : "none");
}

}  // namespace

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
  check_persistent(x, K, D);
  require(options.ramp >= 1, "[span_attention] expected a ramp R of at least 1; got {}",
          options.ramp);
  check_dropout("span_attention", options.dropout, B);
}

Variable span_attention(Tape& tape, const SpanAttentionInputs& x,
                        const SpanAttentionOptions& options) {
  check_span_attention(x, options);
  SpanAttentionForward forward = span_attention_forward(
      {x.qkv.value(), x.memory_kv.value(), x.p.value(), x.z.shared_value().get(),
       x.persistent_keys.shared_value().get(), x.persistent_values.shared_value().get()},
      options);
  // saved: the inputs, and each query's largest score and sum; scores are computed again
  return tape.record(
      "span_attention", {x.qkv, x.memory_kv, x.p, x.z, x.persistent_keys, x.persistent_values},
      std::move(forward.out),
      [dqkv = x.qkv.grad(), dmemory_kv = x.memory_kv.grad(), dp = x.p.grad(), dz = x.z.grad(),
       dn = x.persistent_keys.grad(), du = x.persistent_values.grad(), qkv = x.qkv.shared_value(),
       memory_kv = x.memory_kv.shared_value(), p = x.p.shared_value(), z = x.z.shared_value(),
       n = x.persistent_keys.shared_value(), u = x.persistent_values.shared_value(), options,
       scales =
           std::make_shared<const SoftmaxScales>(std::move(forward.scales))](const Tensor& dout) {
        SpanAttentionGradients d = span_attention_backward(
            {*qkv, *memory_kv, *p, z.get(), n.get(), u.get()}, options, *scales, dout);
        if (dqkv.wanted()) dqkv.add(std::move(d.qkv));
        if (dmemory_kv.wanted()) dmemory_kv.add(std::move(d.memory_kv));
        if (dp.wanted()) dp.add(std::move(d.p));
        if (dz.wanted()) dz.add(std::move(d.z));
        if (dn.wanted()) dn.add(std::move(d.persistent_keys));
        if (du.wanted()) du.add(std::move(d.persistent_values));
      });
}

}  // namespace adaspan
