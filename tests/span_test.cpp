// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/cpu.h"
#include "adaspan/models/span.h"

using namespace adaspan;

namespace {

using Steps = std::vector<int64_t>;

ModelConfig config_of(SpanKind kind, int64_t S = 1024) {
  return {.hidden = 8,
          .heads = 2,
          .span_limit = S,
          .ramp = 32,
          .span_kind = kind,
          .span_init = 0.25f,
          .adapt_cache = true};
}

/// A span with its parameters, and what it says of a block.
struct OneSpan {
  explicit OneSpan(const ModelConfig& config) : span(make_span(config, store, 3)) {}
  explicit OneSpan(SpanKind kind) : OneSpan(config_of(kind)) {}

  LayerSpans of(Tensor x, int64_t C) const {
    Tape tape;
    return span->of(tape, Variable::constant(std::move(x)), C);
  }
  LayerSpans of(int64_t C) const { return of(Tensor::zeros({4, 3, 8}), C); }
  float* values(size_t parameter) { return store.all()[parameter]->value().data(); }

  ParameterStore store{1};
  std::unique_ptr<Span> span;
};

}  // namespace

TEST_CASE("fixed spans have no parameter and are the limit") {
  const OneSpan fixed(SpanKind::fixed);
  CHECK(fixed.store.all().empty());
  CHECK(fixed.span->ratio() == nullptr);
  const LayerSpans spans = fixed.of(5000);
  CHECK_FALSE(spans.z);
  CHECK_FALSE(spans.price);
  CHECK(spans.mean_z == std::vector<float>{1024, 1024});
  CHECK(spans.effective == Steps{1024, 1024});
  CHECK(spans.memory_steps == Steps{1024, 1024});
  CHECK(spans.memory_length == 1024);
  CHECK(fixed.of(100).memory_steps == Steps{100, 100});
}

TEST_CASE("adaptive spans are the limit times a learned ratio, under the reference's name") {
  OneSpan adaptive(SpanKind::adaptive);
  REQUIRE(adaptive.store.all().size() == 1);
  const Parameter& ratio = *adaptive.store.all()[0];
  CHECK(adaptive.span->ratio() == &ratio);
  CHECK(ratio.name() == "layers.3.attn.attn.adaptive_span._mask.current_val");
  CHECK(ratio.shape() == Shape{2, 1, 1});
  REQUIRE(ratio.bounds());
  CHECK(ratio.bounds()->low == 0);
  CHECK(ratio.bounds()->high == 1);
  adaptive.values(0)[0] = 0.5f;
  const LayerSpans spans = adaptive.of(300);
  CHECK(spans.z.shape() == Shape{2});
  CHECK(spans.z.value().data()[1] == 256);
  CHECK(spans.price.value().item() == (512 + 256) / 2);
  CHECK(spans.mean_z == std::vector<float>{512, 256});
  CHECK(spans.widest_z == spans.mean_z);
  CHECK(spans.effective == Steps{512 + 33, 256 + 33});
  CHECK(spans.memory_steps == Steps{300, 256 + 33});
  CHECK(adaptive.of(0).memory_steps == Steps{0, 0});
}

TEST_CASE("dynamic spans are S sigmoid(v.x + b) for each token and head") {
  OneSpan dynamic(SpanKind::dynamic);
  REQUIRE(dynamic.store.all().size() == 2);
  CHECK(dynamic.store.all()[0]->name() == "layers.3.attn.attn.dynamic_span.weight");
  CHECK(dynamic.store.all()[1]->name() == "layers.3.attn.attn.dynamic_span.bias");
  CHECK(dynamic.span->ratio() == nullptr);
  dynamic.values(0)[8] = 2;  // head 1, first input
  Tensor x = Tensor::zeros({2, 1, 8});
  x.data()[8] = 1.5f;  // time 1, first input
  const LayerSpans spans = dynamic.of(std::move(x), 0);
  const float* const z = spans.z.value().data();
  CHECK(spans.z.shape() == Shape{2, 1, 2});
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  CHECK(z[0] == doctest::Approx(1024 * sigmoid(-4)));
  CHECK(z[2] == doctest::Approx(1024 * sigmoid(-4)));
  CHECK(z[3] == doctest::Approx(1024 * sigmoid(3 - 4)));
  const double mean = 512 * (sigmoid(-4) + sigmoid(-1));  // of head 1
  CHECK(spans.mean_z[1] == doctest::Approx(mean));
  CHECK(spans.widest_z[0] == z[0]);
  CHECK(spans.widest_z[1] == z[3]);
  CHECK(spans.price.value().item() == doctest::Approx((1024 * sigmoid(-4) + mean) / 2));
  CHECK(spans.effective[1] == static_cast<int64_t>(std::floor(1024 * sigmoid(-1) + 32)) + 1);
  CHECK(spans.memory_length == 1024);
}

TEST_CASE("a head needs of the memory what any of its queries sees") {
  // Time t of the block, sequence b, head h: z = 1024 sigmoid(x_h), far below 1 unless set.
  OneSpan dynamic(SpanKind::dynamic);
  for (int64_t h = 0; h < 2; ++h) {
    dynamic.values(0)[h * 8 + h] = 1;
    dynamic.values(1)[h] = 0;
  }
  Tensor x = Tensor::filled({200, 2, 8}, -20);  // E = 33: the query of time t sees 33 - t steps
  const auto set = [&](int64_t t, int64_t b, int64_t h, double z) {
    x.data()[(t * 2 + b) * 8 + h] = static_cast<float>(-std::log(1024 / z - 1));
  };
  set(150, 0, 0, 100.5);  // E = 133: nothing
  set(50, 1, 1, 100.5);   // E - 50
  set(120, 0, 1, 200.5);  // E - 120
  CHECK(dynamic.of(x.clone(), 5000).memory_steps == Steps{33, 233 - 120});
  CHECK(dynamic.of(x.clone(), 5000).effective == Steps{133, 233});
  set(50, 1, 1, 140.5);
  CHECK(dynamic.of(x.clone(), 5000).memory_steps == Steps{33, 173 - 50});
  CHECK(dynamic.of(x.clone(), 20).memory_steps == Steps{20, 20});
}

TEST_CASE("spans of tokens in bf16 are f32") {
  if (!bf16_obstacle().empty()) return;
  const LayerSpans spans = OneSpan(SpanKind::dynamic).of(Tensor::zeros({2, 1, 8}, DType::bf16), 0);
  CHECK(spans.z.type() == DType::f32);
  CHECK(spans.z.value().data()[0] == doctest::Approx(1024 / (1 + std::exp(4))));
}

TEST_CASE("the memory that is kept follows the widest head in steps of 64") {
  // min(S, W + 64), W = S - 64 floor(min(S-1, S - reach)/64), reach = ceil(max z) + R
  const ModelConfig config = config_of(SpanKind::adaptive);
  CHECK(memory_length(config, 0) == 64 + 64);
  CHECK(memory_length(config, 32) == 64 + 64);
  CHECK(memory_length(config, 32.1f) == 128 + 64);
  CHECK(memory_length(config, 614) == 704 + 64);
  CHECK(memory_length(config, 1024) == 1024);
  ModelConfig whole = config;
  whole.adapt_cache = false;
  CHECK(memory_length(whole, 0) == 1024);
  CHECK(memory_length(config_of(SpanKind::adaptive, 50), 0) == 50);

  OneSpan adaptive(config);
  adaptive.values(0)[0] = 20.0f / 1024;
  adaptive.values(0)[1] = 614.0f / 1024;
  CHECK(adaptive.of(0).memory_length == 704 + 64);
  CHECK(OneSpan(whole).of(0).memory_length == 1024);
}
