// SPDX-License-Identifier: MIT
#include "adaspan/models/span.h"

#include <algorithm>
#include <cmath>

#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

constexpr const char* kSpanName = "adaptive_span._mask.current_val";  // the paper's program's

class FixedSpan : public Span {
 public:
  Variable spans(Tape&, const Variable&) const override { return {}; }
};

/// z_h = S ratio_h, one learned ratio in [0,1] a head
class AdaptiveSpan : public Span {
 public:
  AdaptiveSpan(const ModelConfig& config, ParameterStore& store, const std::string& prefix)
      : K_(config.heads),
        S_(config.span_limit),
        ratio_(store.add(prefix + kSpanName, {K_, 1, 1}, Initialiser::constant(config.span_init))) {
  }

  Variable spans(Tape& tape, const Variable&) const override {
    return scale(tape, reshape(tape, ratio_.variable(), {K_}), static_cast<float>(S_));
  }

  void clamp() override {
    float* ratio = ratio_.value().data();
    for (int64_t h = 0; h < K_; ++h) ratio[h] = std::clamp(ratio[h], 0.0f, 1.0f);
  }

 private:
  int64_t K_, S_;
  Parameter& ratio_;
};

/// z_t = S sigmoid(v . x_t + b), with v and b of each head
class DynamicSpan : public Span {
 public:
  DynamicSpan(const ModelConfig& config, ParameterStore& store, const std::string& prefix)
      : S_(config.span_limit),
        weight_(store.add(prefix + "dynamic_span.weight", {config.heads, config.hidden},
                          Initialiser::constant(0))),
        bias_(store.add(prefix + "dynamic_span.bias", {config.heads}, Initialiser::constant(-4))) {}

  Variable spans(Tape& tape, const Variable& x) const override {
    const Variable logit =
        linear(tape, x, weight_.variable(), bias_.variable(), {.type = DType::f32});  // [M,B,K]
    return scale(tape, sigmoid(tape, logit), static_cast<float>(S_));
  }

 private:
  int64_t S_;
  Parameter& weight_;
  Parameter& bias_;
};

/// Calls body(head, z) for every z.
template <class Body>
void for_each_span(const Variable& z, int64_t K, const Body& body) {
  const auto values = z.value().values();
  for (size_t i = 0; i < values.size(); ++i) body(i % static_cast<size_t>(K), values[i]);
}

std::vector<float> largest_spans(const Variable& z, const ModelConfig& config) {
  std::vector<float> largest(config.heads, 0);
  for_each_span(z, config.heads, [&](size_t h, float s) { largest[h] = std::max(largest[h], s); });
  return largest;
}

}  // namespace

bool is_span(const Parameter& parameter) {
  return parameter.name().ends_with(kSpanName);
}

std::unique_ptr<Span> make_span(const ModelConfig& config, ParameterStore& store,
                                const std::string& prefix) {
  switch (config.span_kind) {
    case SpanKind::adaptive:
      return std::make_unique<AdaptiveSpan>(config, store, prefix);
    case SpanKind::dynamic:
      return std::make_unique<DynamicSpan>(config, store, prefix);
    case SpanKind::fixed:
      break;
  }
  return std::make_unique<FixedSpan>();
}

std::vector<int64_t> effective_spans(const Variable& z, const ModelConfig& config) {
  if (!z) return std::vector<int64_t>(config.heads, config.span_limit);
  std::vector<int64_t> spans;
  for (float largest : largest_spans(z, config)) {
    spans.push_back(effective_span(largest, config.ramp, config.span_limit));
  }
  return spans;
}

std::vector<int64_t> memory_reaches(const Variable& z, const ModelConfig& config, int64_t C) {
  const int64_t K = config.heads, S = config.span_limit;
  if (!z) return std::vector<int64_t>(static_cast<size_t>(K), std::min(S, C));
  // One step of the block: all queries at once, or those of time t.
  const int64_t steps = z.shape().rank() == 1 ? 1 : z.shape()[0];
  const int64_t spans_a_step = z.value().elements() / std::max<int64_t>(steps, 1);
  std::vector<int64_t> reaches(static_cast<size_t>(K), 0);
  for (int64_t i = 0; i < z.value().elements(); ++i) {
    int64_t& reach = reaches[static_cast<size_t>(i % K)];
    const int64_t E = effective_span(z.value().data()[i], config.ramp, S);
    reach = std::max(reach, std::min(E - i / spans_a_step, C));
  }
  return reaches;
}

std::vector<float> mean_spans(const Variable& z, const ModelConfig& config) {
  if (!z) return std::vector<float>(config.heads, static_cast<float>(config.span_limit));
  std::vector<double> sums(config.heads, 0);
  for_each_span(z, config.heads, [&](size_t h, float s) { sums[h] += s; });
  const double n = static_cast<double>(z.value().elements() / config.heads);
  std::vector<float> means;
  for (double sum : sums) means.push_back(static_cast<float>(sum / n));
  return means;
}

int64_t memory_length(const Variable& z, const ModelConfig& config) {
  const int64_t S = config.span_limit;
  // How far dynamic spans of tokens yet to come will look, nobody knows.
  if (!z || !config.adapt_cache || config.span_kind == SpanKind::dynamic) return S;
  const std::vector<float> spans = largest_spans(z, config);
  const float widest = std::ceil(*std::max_element(spans.begin(), spans.end()));
  const int64_t E = std::clamp<int64_t>(static_cast<int64_t>(widest) + config.ramp, 0, S);
  const int64_t window = S - std::min(S - 1, S - E) / 64 * 64;
  return std::min(S, window + 64);
}

}  // namespace adaspan
