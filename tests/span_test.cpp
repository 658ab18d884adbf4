// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/cpu.h"
#include "adaspan/models/span.h"
#include "adaspan/ops/span_mask.h"

using namespace adaspan;

namespace {

ModelConfig config_of(SpanKind kind, int64_t S = 1024) {
  return {
      .hidden = 8, .heads = 2, .span_limit = S, .ramp = 32, .span_kind = kind, .span_init = 0.25f};
}

Variable z_of(std::vector<float> values) {
  const auto K = static_cast<int64_t>(values.size());
  return Variable::constant(Tensor::of({K}, std::span<const float>(values)));
}

}  // namespace

TEST_CASE("fixed spans have no parameter and are the limit") {
  ParameterStore store(1);
  const auto span = make_span(config_of(SpanKind::fixed), store, "a.");
  Tape tape;
  const Variable z = span->spans(tape, Variable::constant(Tensor::zeros({4, 3, 8})));
  CHECK_FALSE(z);
  CHECK(store.all().empty());
  CHECK(effective_spans(z, config_of(SpanKind::fixed)) == std::vector<int64_t>{1024, 1024});
  CHECK(memory_length(z, config_of(SpanKind::fixed)) == 1024);
}

TEST_CASE("adaptive spans are the limit times a learned ratio, under the reference's name") {
  ParameterStore store(1);
  const auto span = make_span(config_of(SpanKind::adaptive), store, "layers.0.attn.attn.");
  REQUIRE(store.all().size() == 1);
  CHECK(store.all()[0]->name() == "layers.0.attn.attn.adaptive_span._mask.current_val");
  CHECK(store.all()[0]->shape() == Shape{2, 1, 1});
  Tape tape;
  const Variable z = span->spans(tape, Variable::constant(Tensor::zeros({4, 3, 8})));
  CHECK(z.shape() == Shape{2});
  CHECK(z.value().data()[1] == 256);
  store.all()[0]->value().data()[0] = 1.5f;
  store.all()[0]->value().data()[1] = -0.5f;
  span->clamp();
  CHECK(store.all()[0]->value().data()[0] == 1);
  CHECK(store.all()[0]->value().data()[1] == 0);
}

TEST_CASE("dynamic spans are S sigmoid(v.x + b) for each token and head") {
  ParameterStore store(1);
  const auto span = make_span(config_of(SpanKind::dynamic), store, "p.");
  REQUIRE(store.all().size() == 2);
  CHECK(store.all()[0]->name() == "p.dynamic_span.weight");
  CHECK(store.all()[1]->name() == "p.dynamic_span.bias");
  store.all()[0]->value().data()[8] = 2;  // head 1, first input
  Tensor x = Tensor::zeros({2, 1, 8});
  x.data()[8] = 1.5f;  // time 1, first input
  Tape tape;
  const Variable z = span->spans(tape, Variable::constant(std::move(x)));
  CHECK(z.shape() == Shape{2, 1, 2});
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  CHECK(z.value().data()[0] == doctest::Approx(1024 * sigmoid(-4)));
  CHECK(z.value().data()[2] == doctest::Approx(1024 * sigmoid(-4)));
  CHECK(z.value().data()[3] == doctest::Approx(1024 * sigmoid(3 - 4)));
  CHECK(mean_spans(z, config_of(SpanKind::dynamic))[1] ==
        doctest::Approx(512 * (sigmoid(-4) + sigmoid(-1))));
  CHECK(effective_spans(z, config_of(SpanKind::dynamic))[1] ==
        static_cast<int64_t>(std::floor(1024 * sigmoid(-1) + 32)) + 1);
}

TEST_CASE("a head reaches back into the memory as far as any of its queries sees") {
  const auto E = [](float z) { return effective_span(z, 32, 1024); };
  const ModelConfig adaptive = config_of(SpanKind::adaptive);
  using Reaches = std::vector<int64_t>;
  CHECK(memory_reaches({}, config_of(SpanKind::fixed), 5000) == Reaches{1024, 1024});
  CHECK(memory_reaches({}, config_of(SpanKind::fixed), 100) == Reaches{100, 100});
  CHECK(memory_reaches(z_of({10, 300}), adaptive, 5000) == Reaches{E(10), E(300)});
  CHECK(memory_reaches(z_of({10, 300}), adaptive, 64) == Reaches{E(10), 64});
  CHECK(memory_reaches(z_of({10, 300}), adaptive, 0) == Reaches{0, 0});

  // The query of time t sees E - t steps before the block.
  Tensor z = Tensor::filled({200, 2, 2}, 0);  // E = 33: from 0 to time 32
  const auto at = [&](int64_t t, int64_t b, int64_t h) -> float& {
    return z.data()[(t * 2 + b) * 2 + h];
  };
  at(150, 0, 0) = 100;  // E = 133: nothing
  at(50, 1, 1) = 100;   // E - 50
  at(120, 0, 1) = 200;  // E - 120
  const ModelConfig dynamic = config_of(SpanKind::dynamic);
  CHECK(memory_reaches(Variable::constant(z.clone()), dynamic, 5000) == Reaches{33, 233 - 120});
  at(50, 1, 1) = 140;
  CHECK(memory_reaches(Variable::constant(z.clone()), dynamic, 5000) == Reaches{33, 173 - 50});
  CHECK(memory_reaches(Variable::constant(z.clone()), dynamic, 20) == Reaches{20, 20});
}

TEST_CASE("spans of tokens in bf16 are f32") {
  if (!bf16_obstacle().empty()) return;
  ParameterStore store(1);
  const auto span = make_span(config_of(SpanKind::dynamic), store, "p.");
  Tape tape;
  const Variable z = span->spans(tape, Variable::constant(Tensor::zeros({2, 1, 8}, DType::bf16)));
  CHECK(z.type() == DType::f32);
  CHECK(z.value().data()[0] == doctest::Approx(1024 / (1 + std::exp(4))));
}

TEST_CASE("the memory that is kept follows the widest head in steps of 64") {
  // min(S, W + 64), W = S - 64 floor(min(S-1, S-E)/64), E = ceil(max z) + R
  const ModelConfig config = config_of(SpanKind::adaptive);
  CHECK(memory_length(z_of({0, 0}), config) == 64 + 64);
  CHECK(memory_length(z_of({0, 32}), config) == 64 + 64);
  CHECK(memory_length(z_of({0, 32.1f}), config) == 128 + 64);
  CHECK(memory_length(z_of({614, 20}), config) == 704 + 64);
  CHECK(memory_length(z_of({1024, 0}), config) == 1024);
  ModelConfig whole = config;
  whole.adapt_cache = false;
  CHECK(memory_length(z_of({0, 0}), whole) == 1024);
  CHECK(memory_length(z_of({0, 0}), config_of(SpanKind::adaptive, 50)) == 50);
}
