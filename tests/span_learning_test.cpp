// SPDX-License-Identifier: MIT
// Do spans learn what they are for? Small models on streams whose structure is known.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/toy_tasks.h"

using namespace adaspan;
using namespace adaspan::testing;

namespace {

constexpr int64_t kDistance = 11;  // from a query, the token before the one to predict, to its key
constexpr int32_t kSymbols = 8;

/// The symbol of kDistance steps before the one before, and now and then a fresh one.
int32_t delayed_copy(int64_t t, const RandomKey& key, uint64_t place,
                     const std::function<int32_t(int64_t)>& past) {
  const bool fresh = t <= kDistance || random_bits(key, 2 * place) % 8 == 0;
  return fresh ? static_cast<int32_t>(random_bits(key, 2 * place + 1) % kSymbols)
               : past(kDistance + 1);
}

/// The symbol before plus one, and now and then a fresh one: nothing further back helps.
int32_t count_up(int64_t t, const RandomKey& key, uint64_t place,
                 const std::function<int32_t(int64_t)>& past) {
  const bool fresh = t == 0 || random_bits(key, 2 * place) % 8 == 0;
  return fresh ? static_cast<int32_t>(random_bits(key, 2 * place + 1) % kSymbols)
               : (past(1) + 1) % kSymbols;
}

/// Seven marks in turn, then a symbol that repeats the one of 8 steps before: only the last mark
/// (7) has to look far to know what follows.
constexpr int32_t kLastMark = 7, kMarks = 8;
int32_t marks_and_copy(int64_t t, const RandomKey& key, uint64_t place,
                       const std::function<int32_t(int64_t)>& past) {
  const auto turn = static_cast<int32_t>(t % kMarks);
  if (turn != 0) return turn;
  const bool fresh = t < kMarks || random_bits(key, 2 * place) % 8 == 0;
  return fresh ? kMarks + static_cast<int32_t>(random_bits(key, 2 * place + 1) % kSymbols)
               : past(kMarks);
}

ModelConfig small_model(SpanKind kind, float span_loss) {
  return {.vocabulary = kSymbols,
          .layers = 1,
          .hidden = 32,
          .inner = 64,
          .heads = 2,
          .span_limit = 32,
          .ramp = 16,
          .span_kind = kind,
          .span_loss = span_loss};
}

}  // namespace

TEST_CASE("without a price, data that needs distance d makes some head's span grow past d") {
  Transformer model(small_model(SpanKind::adaptive, 0), 1);
  const BlockLoss out = train_on(model, delayed_copy, 32, 16, 500, 0.01);
  CHECK(longest(out.mean_z) > kDistance - 1);  // m_z(u) = 1 at u = kDistance - 1: all of it is seen
}

TEST_CASE("with a price, data of local structure leaves the spans at the floor") {
  Transformer model(small_model(SpanKind::adaptive, 1e-2f), 1);
  const BlockLoss out = train_on(model, count_up, 32, 16, 300, 0.01);
  CHECK(longest(out.mean_z) < 1);
}

TEST_CASE("dynamic spans are long for the tokens that have to look far, and short for others") {
  ModelConfig config = small_model(SpanKind::dynamic, 1e-5f);
  config.vocabulary = kMarks + kSymbols;
  config.ramp = 8;  // just enough to feel what is 8 steps back
  Transformer model(config, 1);
  train_on(model, marks_and_copy, 32, 16, 400, 0.01);

  // The first layer's input is the token's embedding: z_h(token) = S sigmoid(v_h . x + b_h).
  const Tensor *embedding = nullptr, *v = nullptr, *b = nullptr;
  for (const Parameter* p : model.parameters().all()) {
    if (p->name() == "in_emb.weight") embedding = &p->value();
    if (p->name() == "layers.0.attn.attn.dynamic_span.weight") v = &p->value();
    if (p->name() == "layers.0.attn.attn.dynamic_span.bias") b = &p->value();
  }
  REQUIRE(embedding);
  REQUIRE(v);
  REQUIRE(b);
  const auto longest_of = [&](int64_t token) {
    double z = 0;
    for (int64_t h = 0; h < config.heads; ++h) {
      double logit = b->data()[h];
      for (int64_t i = 0; i < config.hidden; ++i) {
        logit += v->data()[h * config.hidden + i] * embedding->data()[token * config.hidden + i];
      }
      z = std::max(z, static_cast<double>(config.span_limit) / (1 + std::exp(-logit)));
    }
    return z;
  };
  for (int64_t mark = 1; mark < kLastMark; ++mark) {
    INFO("mark ", mark, " looks back ", longest_of(mark), ", the last one ", longest_of(kLastMark));
    CHECK(longest_of(kLastMark) > longest_of(mark) + 2);
  }
}

TEST_CASE("spans stay within [0, 1] of the limit, however hard they are pushed") {
  for (const float price : {0.0f, 10.0f}) {
    ModelConfig config = small_model(SpanKind::adaptive, price);
    config.span_init = 0.5f;
    Transformer model(config, 1);
    train_on(model, delayed_copy, 32, 4, 10, /*learning_rate=*/0.7);
    for (const Parameter* ratios : model.span_ratios()) {
      for (float ratio : ratios->value().values()) {
        CHECK(ratio >= 0);
        CHECK(ratio <= 1);
        if (price > 0) CHECK(ratio == 0);
      }
    }
  }
}
