// SPDX-License-Identifier: MIT
// What a decoder says, one token after another, is what the model says of the whole text at once.
#include "adaspan/models/decode/decoder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/random.h"

namespace adaspan {
namespace {

using Ids = std::vector<int32_t>;

struct Case {
  std::string name;
  ModelConfig config;
};

ModelConfig small_config(SpanKind kind) {
  return {.vocabulary = 11,
          .layers = 2,
          .hidden = 12,
          .inner = 20,
          .heads = 2,
          .span_limit = 24,
          .ramp = 4,
          .span_kind = kind,
          .dropout = 0};
}

std::vector<Case> cases() {
  std::vector<Case> all = {{"fixed", small_config(SpanKind::fixed)},
                           {"adaptive", small_config(SpanKind::adaptive)},
                           {"dynamic", small_config(SpanKind::dynamic)}};
  const auto add = [&](const char* name, SpanKind kind, const auto& change) {
    ModelConfig c = small_config(kind);
    change(c);
    all.push_back({name, c});
  };
  add("adapted cache", SpanKind::adaptive, [](ModelConfig& c) { c.adapt_cache = true; });
  add("missing steps left out", SpanKind::fixed, [](ModelConfig& c) { c.skip_missing = true; });
  add("missing steps left out, dynamic", SpanKind::dynamic,
      [](ModelConfig& c) { c.skip_missing = true; });
  add("a limit that is no multiple of a tile", SpanKind::fixed,
      [](ModelConfig& c) { c.span_limit = 23; });
  add("several parts", SpanKind::fixed, [](ModelConfig& c) { c.span_limit = 600; });
  add("several parts, dynamic", SpanKind::dynamic, [](ModelConfig& c) { c.span_limit = 600; });
  add("heads as wide as several vectors", SpanKind::adaptive, [](ModelConfig& c) {
    c.hidden = 150;
    c.heads = 2;
  });
  for (SpanKind kind : {SpanKind::fixed, SpanKind::adaptive, SpanKind::dynamic}) {
    add("persistent vectors", kind, [](ModelConfig& c) { c.persistent = 19; });
  }
  add("many persistent vectors", SpanKind::adaptive, [](ModelConfig& c) { c.persistent = 300; });
  for (bool tied : {false, true}) {
    add("adaptive io", SpanKind::adaptive, [&](ModelConfig& c) {
      c.vocabulary = 30;
      c.adaptive_io = {.on = true, .tied = tied, .divval = 2, .cutoffs = {10, 20}};
    });
  }
  return all;
}

/// A model whose spans lie anywhere, and whose dynamic ones depend on the token.
std::unique_ptr<Transformer> random_model(const ModelConfig& config) {
  auto model = std::make_unique<Transformer>(config, /*seed=*/3);
  uint64_t i = 0;
  for (Parameter* p : model->parameters().all()) {
    const bool ratio = p->name().find("current_val") != std::string::npos;
    const bool dynamic = p->name().find("dynamic_span") != std::string::npos;
    if (!ratio && !dynamic) continue;
    for (int64_t k = 0; k < p->value().elements(); ++k) {
      const auto u = static_cast<float>(random_uniform({.seed = 9}, i++));
      p->value().data()[k] = ratio ? u : 2 * u - 1;
    }
  }
  return model;
}

Ids random_text(int64_t n, int64_t V, uint64_t seed) {
  Ids ids;
  for (int64_t i = 0; i < n; ++i) {
    const double u = random_uniform({.seed = seed}, static_cast<uint64_t>(i));
    ids.push_back(static_cast<int32_t>(u * static_cast<double>(V)));
  }
  return ids;
}

/// log p of the next token after each of the text's: [n,V], all at once.
Tensor teacher_forced(const Transformer& model, const Ids& text) {
  const auto n = static_cast<int64_t>(text.size());
  return model.predict(Tensor::of({n, 1}, std::span(text)), model.fresh_memory(1))
      .log_probabilities;
}

/// How far the rows of text `n` of a decoder are from those from `first` on.
double distance(const Tensor& found, int64_t n, const Tensor& expected, int64_t row) {
  const int64_t V = found.shape()[1];
  double worst = 0;
  for (int64_t v = 0; v < V; ++v) {
    worst = std::max(
        worst, std::abs(double{found.data()[n * V + v]} - double{expected.data()[row * V + v]}));
  }
  return worst;
}

double bound(const Tensor& log_p) {
  double largest = 1;
  for (float x : log_p.values()) largest = std::max(largest, std::abs(double{x}));
  return 1e-5 * largest;
}

/// The largest distance over a text whose first `prompt` tokens are read at once.
double worst_of(const Transformer& model, const Ids& text, size_t prompt, const Tensor& expected) {
  Decoder decoder(model, {});
  double worst = distance(decoder.read(std::span(text).first(prompt)), 0, expected,
                          static_cast<int64_t>(prompt) - 1);
  for (size_t i = prompt; i < text.size(); ++i) {
    worst = std::max(worst, distance(decoder.step(std::span(text).subspan(i, 1)), 0, expected,
                                     static_cast<int64_t>(i)));
  }
  CHECK(decoder.position() == static_cast<int64_t>(text.size()));
  return worst;
}

TEST_CASE("a decoder says what the model says of the whole text, for each kind of model") {
  for (const auto& [name, config] : cases()) {
    CAPTURE(name);
    CAPTURE(static_cast<int>(config.span_kind));
    const auto model = random_model(config);
    const int64_t n = config.span_limit > 100 ? 1400 : 90;
    const Ids text = random_text(n, config.vocabulary, 5);
    const Tensor expected = teacher_forced(*model, text);
    // From shorter than a span to longer than a block of the prompt.
    for (const size_t prompt : {size_t{1}, size_t{2}, size_t{30}, text.size() - 5}) {
      CAPTURE(prompt);
      CHECK(worst_of(*model, text, prompt, expected) <= bound(expected));
    }
  }
}

TEST_CASE("bf16 storage says nearly the same") {
  for (const auto& [name, config] : cases()) {
    CAPTURE(name);
    const auto model = random_model(config);
    const Ids text = random_text(60, config.vocabulary, 5);
    const Tensor expected = teacher_forced(*model, text);
    Decoder decoder(*model, {.storage = DType::bf16});
    double worst = distance(decoder.read(std::span(text).first(20)), 0, expected, 19);
    for (size_t i = 20; i < text.size(); ++i) {
      worst = std::max(worst, distance(decoder.step(std::span(text).subspan(i, 1)), 0, expected,
                                       static_cast<int64_t>(i)));
    }
    CHECK(worst < 0.1);
    CHECK((worst > 1e-5 || config.adaptive_io.on));
  }
}

TEST_CASE("a text depends on its own tokens alone, to the bit, whatever is written beside it") {
  for (const auto& [name, config] : cases()) {
    CAPTURE(name);
    const auto model = random_model(config);
    const Ids prompt = random_text(7, config.vocabulary, 5);
    constexpr size_t kTexts = 7;
    Decoder together(*model, {.texts = kTexts});
    std::vector<Decoder> alone;
    const Tensor first = together.read(prompt).clone();
    for (size_t n = 0; n < kTexts; ++n) {
      alone.emplace_back(*model, DecoderOptions{});
      CHECK(distance(alone.back().read(prompt), 0, first, static_cast<int64_t>(n)) == 0);
    }
    for (uint64_t i = 0; i < 40; ++i) {
      const Ids next = random_text(kTexts, config.vocabulary, 100 + i);
      const Tensor all = together.step(next).clone();
      for (size_t n = 0; n < kTexts; ++n) {
        CHECK(distance(alone[n].step(std::span(next).subspan(n, 1)), 0, all,
                       static_cast<int64_t>(n)) == 0);
      }
    }
  }
}

TEST_CASE("the number of threads changes no bit") {
  const int before = threads();
  ModelConfig config = small_config(SpanKind::adaptive);
  config.hidden = 128;
  config.span_limit = 600;
  const auto model = random_model(config);
  const Ids text = random_text(40, config.vocabulary, 5);
  std::vector<Tensor> found;
  for (int count : {1, 2, 3, 5}) {
    set_threads(count);
    Decoder decoder(*model, {});
    decoder.read(std::span(text).first(20));
    for (size_t i = 20; i + 1 < text.size(); ++i) decoder.step(std::span(text).subspan(i, 1));
    found.push_back(decoder.step(std::span(text).last(1)).clone());
  }
  set_threads(before);
  for (const Tensor& one : found) CHECK(distance(one, 0, found[0], 0) == 0);
}

TEST_CASE("a decoder reads what it must: weights, keys and values of what heads reach") {
  ModelConfig config = small_config(SpanKind::adaptive);
  Transformer model(config, 1);
  for (Parameter* ratio : model.span_ratios()) {
    ratio->value().data()[0] = 0;     // reach 4
    ratio->value().data()[1] = 0.5f;  // 12 + 4
  }
  const DecoderTraffic traffic = Decoder(model, {}).traffic();
  CHECK(traffic.keys_and_values == 2 * (4 + 16) * 2 * 6 * 4);
  CHECK(traffic.positions == 16 * 6 * 4);
  const int64_t others = 24 * 6 + 11 * 12 + 2 * 2;  // positions, embedding, spans
  CHECK(traffic.weights == 4.0 * static_cast<double>(model.parameters().elements() - others));
  CHECK(Decoder(model, {.storage = DType::bf16}).traffic().keys_and_values ==
        traffic.keys_and_values / 2);
}

TEST_CASE("what a decoder cannot read is refused") {
  const auto model = random_model(small_config(SpanKind::fixed));
  const Ids two = {1, 2}, none, outside = {11}, below = {-1};
  CHECK_THROWS_WITH_AS(Decoder(*model, {.texts = 0}), doctest::Contains("at least 1 text"), Error);
  CHECK_THROWS_WITH_AS(Decoder(*model, {.storage = DType::i32}), doctest::Contains("f32 or bf16"),
                       Error);
  Decoder decoder(*model, {});
  CHECK_THROWS_WITH_AS(decoder.read(none), doctest::Contains("got 0 tokens"), Error);
  CHECK_THROWS_WITH_AS(decoder.read(outside), doctest::Contains("ids in [0, 11); got 11"), Error);
  CHECK_THROWS_WITH_AS(decoder.step(two), doctest::Contains("each of 1 texts; got 2"), Error);
  CHECK_THROWS_WITH_AS(decoder.step(below), doctest::Contains("got -1"), Error);
  decoder.read(two);
  CHECK_THROWS_WITH_AS(decoder.read(two), doctest::Contains("at 2"), Error);
}

}  // namespace
}  // namespace adaspan
