// SPDX-License-Identifier: MIT
#include "adaspan/models/span.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

class FixedSpan : public Span {
 public:
  explicit FixedSpan(const ModelConfig& config)
      : K_(static_cast<size_t>(config.heads)), S_(config.span_limit) {}

  LayerSpans of(Tape&, const Variable&, int64_t C) const override {
    return {.z = {},
            .price = {},
            .mean_z = std::vector<float>(K_, static_cast<float>(S_)),
            .widest_z = std::vector<float>(K_, static_cast<float>(S_)),
            .effective = std::vector<int64_t>(K_, S_),
            .memory_steps = std::vector<int64_t>(K_, std::min(S_, C)),
            .memory_length = S_};
  }

 private:
  size_t K_;
  int64_t S_;
};

/// z_h = S ratio_h, one learned ratio in [0,1] per head
class AdaptiveSpan : public Span {
 public:
  AdaptiveSpan(const ModelConfig& config, ParameterStore& store, int64_t layer)
      : config_(config),
        ratio_(store.add(span_ratio_name(layer), random_site(layer, RandomRole::span_ratio),
                         {config.heads, 1, 1}, Initialiser::constant(config.span_init),
                         Bounds{0, 1})) {}

  LayerSpans of(Tape& tape, const Variable&, int64_t C) const override {
    const int64_t K = config_.heads, S = config_.span_limit;
    LayerSpans spans;
    spans.z = scale(tape, reshape(tape, ratio_.variable(), {K}), static_cast<float>(S));
    spans.price = mean(tape, spans.z);
    const auto z = spans.z.value().values();
    spans.mean_z.assign(z.begin(), z.end());
    spans.widest_z = spans.mean_z;
    for (float head : z) {
      const int64_t E = effective_span(head, config_.ramp, S);
      spans.effective.push_back(E);
      spans.memory_steps.push_back(std::min(E, C));
    }
    spans.memory_length = memory_length(config_, *std::max_element(z.begin(), z.end()));
    return spans;
  }

  Parameter* ratio() const override { return &ratio_; }

 private:
  const ModelConfig config_;
  Parameter& ratio_;
};

constexpr double kStartingBias = -4;

/// z_t = S sigmoid(v . x_t + b), with v and b of each head
class DynamicSpan : public Span {
 public:
  DynamicSpan(const ModelConfig& config, ParameterStore& store, int64_t layer)
      : config_(config),
        weight_(store.add(layer_name(layer, "attn.attn.dynamic_span.weight"),
                          random_site(layer, RandomRole::span_weight),
                          {config.heads, config.hidden}, Initialiser::constant(0))),
        bias_(store.add(layer_name(layer, "attn.attn.dynamic_span.bias"),
                        random_site(layer, RandomRole::span_bias), {config.heads},
                        Initialiser::constant(kStartingBias))) {}

  LayerSpans of(Tape& tape, const Variable& x, int64_t C) const override {
    const auto K = static_cast<size_t>(config_.heads);
    const int64_t S = config_.span_limit, M = x.shape()[0], B = x.shape()[1];
    LayerSpans spans;
    const Variable logit =
        linear(tape, x, weight_.variable(), bias_.variable(), {.type = DType::f32});  // [M,B,K]
    spans.z = scale(tape, sigmoid(tape, logit), static_cast<float>(S));
    spans.price = mean(tape, spans.z);
    spans.widest_z.assign(K, 0);
    spans.effective.assign(K, 1);
    spans.memory_steps.assign(K, 0);
    std::vector<double> sums(K, 0);
    const float* z = spans.z.value().data();
    for (int64_t row = 0; row < M * B; ++row) {
      for (size_t h = 0; h < K; ++h, ++z) {
        const int64_t E = effective_span(*z, config_.ramp, S), time = row / B;
        sums[h] += *z;
        spans.widest_z[h] = std::max(spans.widest_z[h], *z);
        spans.effective[h] = std::max(spans.effective[h], E);
        // The query of this time has `time` steps of the block before those of the memory.
        spans.memory_steps[h] = std::max(spans.memory_steps[h], std::min(E - time, C));
      }
    }
    for (double sum : sums) {
      spans.mean_z.push_back(static_cast<float>(sum / static_cast<double>(M * B)));
    }
    spans.memory_length = S;  // how far tokens yet to come will look, nobody knows
    return spans;
  }

 private:
  const ModelConfig config_;
  Parameter& weight_;
  Parameter& bias_;
};

}  // namespace

std::vector<double> gradient_by_head(const Tensor& dz) {
  const auto K = static_cast<size_t>(dz.shape()[-1]);
  std::vector<double> sums(K, 0);
  const std::span<const float> d = dz.values();
  for (size_t i = 0; i < d.size(); ++i) sums[i % K] += d[i];
  return sums;
}

std::unique_ptr<Span> make_span(const ModelConfig& config, ParameterStore& store, int64_t layer) {
  switch (config.span_kind) {
    case SpanKind::adaptive:
      return std::make_unique<AdaptiveSpan>(config, store, layer);
    case SpanKind::dynamic:
      return std::make_unique<DynamicSpan>(config, store, layer);
    case SpanKind::fixed:
      break;
  }
  return std::make_unique<FixedSpan>(config);
}

std::string span_ratio_name(int64_t layer) {
  return layer_name(layer, "attn.attn.adaptive_span._mask.current_val");
}

std::vector<std::vector<float>> starting_spans(const ModelConfig& config) {
  const double ratio = config.span_kind == SpanKind::fixed ? 1
                       : config.span_kind == SpanKind::adaptive
                           ? config.span_init
                           : 1 / (1 + std::exp(-kStartingBias));
  const auto z = static_cast<float>(ratio * static_cast<double>(config.span_limit));
  return std::vector(static_cast<size_t>(config.layers),
                     std::vector(static_cast<size_t>(config.heads), z));
}

int64_t memory_length(const ModelConfig& config, float widest) {
  const int64_t S = config.span_limit;
  if (!config.adapt_cache || config.span_kind != SpanKind::adaptive) return S;
  const int64_t reach = span_reach(widest, config.ramp, S);
  const int64_t window = S - std::min(S - 1, S - reach) / 64 * 64;
  return std::min(S, window + 64);
}

}  // namespace adaspan
