// SPDX-License-Identifier: MIT
#include "app/bench/bench_attention.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/random.h"
#include "adaspan/ops/tiles/span_attention_passes.h"
#include "app/bench/bench_gemm.h"
#include "app/bench/bench_step.h"
#include "app/bench/turns.h"

namespace adaspan {
namespace {

Tensor random_values(Shape shape, uint32_t site, DType type) {
  const RandomKey key{.purpose = Purpose::benchmark, .site = site};
  Tensor values(std::move(shape));
  parallel_chunks(values.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      values.data()[i] = static_cast<float>(random_uniform(key, static_cast<uint64_t>(i)) - 0.5);
    }
  });
  return values.converted(type);
}

/// Multiply-adds of a pass forward and one backward, with those that blocks do in vain.
double counted(const SpanAttentionValues& x, const SpanAttentionOptions& options,
               const SoftmaxScales& scales, const Tensor& dout) {
  const int64_t before = counted_multiply_adds;
  span_attention_forward(x, options, counting_span_kernels());
  span_attention_backward(x, options, scales, dout, counting_span_kernels());
  return static_cast<double>(counted_multiply_adds - before);
}

nlohmann::ordered_json row_of(const ModelConfig& c, int64_t B, int64_t M, int64_t E,
                              GemmPeak& products) {
  const int64_t K = c.heads, D = c.head_width(), P = c.persistent;
  const auto each_head = static_cast<size_t>(K);
  const SpanAttentionOptions options{.ramp = c.ramp,
                                     .effective_spans = std::vector<int64_t>(each_head, E),
                                     .memory_steps = std::vector<int64_t>(each_head, E),
                                     .skip_missing = false,
                                     .dropout = {.rate = c.dropout, .batch = B}};
  const Tensor qkv = random_values({M, B, 3 * c.hidden}, 0, c.precision);
  const Tensor memory_kv = random_values({K * E, B, 2 * D}, 1, c.precision);
  const Tensor p = random_values({D, c.span_limit}, 2, DType::f32);
  const Tensor dout = random_values({M, B, c.hidden}, 3, c.precision);
  const Tensor z = Tensor::filled({K}, static_cast<float>(std::max(int64_t{0}, E - c.ramp)));
  const Tensor keys = random_values({K, D, P}, 4, DType::f32);
  const Tensor values = random_values({K, P, D}, 5, DType::f32);
  const auto given = [&](const Tensor& vectors) { return P > 0 ? &vectors : nullptr; };
  const SpanAttentionValues x{qkv, memory_kv, p, &z, given(keys), given(values)};

  const SpanAttentionForward result = span_attention_forward(x, options);
  span_attention_backward(x, options, result.scales, dout);  // the first call, as the first forward
  Turns peak, forward, backward;
  for (int64_t turn = 0; turn < kTurns; ++turn) {
    peak.add(products.turn());
    forward.add(fastest([&] { span_attention_forward(x, options); }));
    backward.add(fastest([&] { span_attention_backward(x, options, result.scales, dout); }));
  }
  const double flops = static_cast<double>(M * B * K * D) * static_cast<double>(22 * E + 14 * P);
  const double peak_rate = 1 / peak.best(),
               rate = 1e-9 * flops / (forward.best() + backward.best());
  return {{"span", E},
          {"forward_s", forward.best()},
          {"backward_s", backward.best()},
          {"spread", std::max(forward.spread(), backward.spread())},
          {"gflops", rate},
          {"gemm_peak_gflops", peak_rate},
          {"gemm_peak_spread", peak.spread()},
          {"peak_share", rate / peak_rate},
          {"computed", counted(x, options, result.scales, dout) / (flops / 2)}};
}

}  // namespace

nlohmann::ordered_json bench_attention(const TrainingConfig& config,
                                       const std::vector<int64_t>& spans) {
  require_settable_spans(config.model);
  for (int64_t E : spans) {
    require(E >= 1 && E <= config.model.span_limit,
            "[bench] expected --span in [1, {}], the limit --attn-span; got {}",
            config.model.span_limit, E);
  }
  require_layer_memory(config, static_cast<float>(std::ranges::max(spans)));
  const FlushDenormals flush;  // as in a training step
  const DType type = config.model.precision;
  GemmPeak products(config, type);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  double best = 0, peak_spread = 0, spread = 0;
  for (int64_t E : spans) {
    const auto row = row_of(config.model, config.batch.sequences / config.batch.split,
                            config.batch.block, E, products);
    best = std::max(best, row["gemm_peak_gflops"].get<double>());
    peak_spread = std::max(peak_spread, row["gemm_peak_spread"].get<double>());
    spread = std::max(spread, row["spread"].get<double>());
    rows.push_back(row);
  }
  return {{"precision", name(type)},
          {"gemm_peak_gflops", best},
          {"rows", rows},
          {"disturbed", disturbance(peak_spread, "attention", spread)}};
}

}  // namespace adaspan
