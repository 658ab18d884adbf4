// SPDX-License-Identifier: MIT
#include "adaspan/train/run/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/error.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;

constexpr int64_t kVocabulary = 11;

/// The model of tiny_config(kind); the spans of the kinds that have some are about the middle.
ModelConfig config(SpanKind kind, bool adapt_cache) {
  ModelConfig c = tiny_config(kind).model;
  c.vocabulary = kVocabulary;
  c.adapt_cache = adapt_cache;
  return c;
}

TEST_CASE("the loss of a stream does not depend on the block length") {
  const TokenStream stream = random_stream(3 * 65, kVocabulary);  // 3 rows of 64 predictions
  for (SpanKind kind : kSpanKinds) {
    for (bool adapt_cache : {false, true}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(adapt_cache);
      const Transformer model(config(kind, adapt_cache), 1);
      const Evaluation whole = evaluate(model, stream, 3, 64);
      CHECK(whole.tokens == 192);
      CHECK(whole.loss > 1);
      for (int64_t M : {8, 16, 32}) {
        CAPTURE(M);
        const Evaluation found = evaluate(model, stream, 3, M);
        CHECK(found.tokens == whole.tokens);
        CHECK(std::abs(found.loss - whole.loss) <= 1e-5);
      }
    }
  }
}

TEST_CASE("the memory counts: without it short blocks predict otherwise") {
  const TokenStream stream = random_stream(65, kVocabulary);
  const Transformer model(config(SpanKind::fixed, false), 1);
  double forgetful = 0;
  for (int64_t begin = 0; begin < 64; begin += 8) {
    const TokenStream piece{
        9, [&](int64_t at, int64_t n, int32_t* out) { stream.read(begin + at, n, out); }, "piece"};
    forgetful += evaluate(model, piece, 1, 8).loss / 8;
  }
  CHECK(std::abs(forgetful - evaluate(model, stream, 1, 8).loss) > 1e-4);
}

TEST_CASE("the last partial block is dropped") {
  const Transformer model(config(SpanKind::adaptive, true), 1);
  const TokenStream stream = random_stream(72, kVocabulary);
  const auto first = [&](int64_t size) {
    TokenStream part = stream;
    part.size = size;
    return evaluate(model, part, 1, 8);
  };
  const Evaluation whole = first(65);
  for (int64_t size : {66, 72}) {
    CHECK(first(size).tokens == 64);
    CHECK(first(size).loss == whole.loss);
  }
  CHECK(first(64).tokens == 56);
}

TEST_CASE("evaluations say the mean span of each layer and head") {
  const TokenStream stream = random_stream(65, kVocabulary);
  const auto spans = [&](SpanKind kind) {
    return evaluate(Transformer(config(kind, false), 1), stream, 1, 8).mean_z;
  };
  const auto fixed = spans(SpanKind::fixed), adaptive = spans(SpanKind::adaptive);
  REQUIRE(adaptive.size() == 2);
  REQUIRE(adaptive[0].size() == 2);
  CHECK(fixed[1][1] == 24);
  CHECK(adaptive[1][1] == Approx(0.4 * 24));
  CHECK(spans(SpanKind::dynamic)[1][1] == Approx(24 / (1 + std::exp(4.0))));
}

TEST_CASE("evaluations begin with empty memory: a second one gives the same") {
  const Transformer model(config(SpanKind::adaptive, true), 1);
  const TokenStream stream = random_stream(100, kVocabulary);
  CHECK(evaluate(model, stream, 2, 8).loss == evaluate(model, stream, 2, 8).loss);
}

TEST_CASE("a stream shorter than one block is refused") {
  const Transformer model(config(SpanKind::fixed, false), 1);
  CHECK_THROWS_WITH_AS(evaluate(model, random_stream(17, kVocabulary), 2, 8),
                       doctest::Contains("[data] expected at least 18 tokens in the random stream"),
                       Error);
}

}  // namespace
}  // namespace adaspan
