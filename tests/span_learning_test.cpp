// SPDX-License-Identifier: MIT
// Do spans learn what they are for? Small models on streams whose structure is known.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/toy_tasks.h"

using namespace adaspan;
using namespace adaspan::testing;

namespace {

constexpr int64_t kDistance = 8;  // from a query, the token before the one to predict, to its key
constexpr int64_t kRamp = 8;      // at z = 0 the mask of that key is 1/8
constexpr int32_t kSymbols = 8;
// What one seed learns is chance (attention that is sharp enough needs less of a mask): all of
// these must learn it, or their mean.
constexpr uint64_t kSeeds = 8;

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
          .ramp = kRamp,
          .span_kind = kind,
          .span_loss = span_loss};
}

/// The longest z that a head gives a token. The first layer's input is the token's embedding:
/// z_h(token) = S sigmoid(v_h . x + b_h).
double longest_of(const Transformer& model, int64_t token) {
  const ModelConfig& config = model.config();
  const Tensor *embedding = nullptr, *v = nullptr, *b = nullptr;
  for (const Parameter* p : model.parameters().all()) {
    if (p->name() == "in_emb.weight") embedding = &p->value();
    if (p->name() == "layers.0.attn.attn.dynamic_span.weight") v = &p->value();
    if (p->name() == "layers.0.attn.attn.dynamic_span.bias") b = &p->value();
  }
  REQUIRE(embedding);
  REQUIRE(v);
  REQUIRE(b);
  double z = 0;
  for (int64_t h = 0; h < config.heads; ++h) {
    double logit = b->data()[h];
    for (int64_t i = 0; i < config.hidden; ++i) {
      logit += v->data()[h * config.hidden + i] * embedding->data()[token * config.hidden + i];
    }
    z = std::max(z, static_cast<double>(config.span_limit) / (1 + std::exp(-logit)));
  }
  return z;
}

}  // namespace

TEST_CASE("without a price, data that needs distance d makes some head's span grow towards d") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Transformer model(small_model(SpanKind::adaptive, 0), seed);
    const BlockLoss out = train_on(model, delayed_copy, 32, 16, 300, 0.01);
    CHECK(out.nll < 1.5f);  // blind guessing: ln 8 = 2.08
    CHECK(longest(out.mean_z) > kDistance / 2);
  }
}

TEST_CASE("with a price, data of local structure leaves the spans at the floor") {
  Transformer model(small_model(SpanKind::adaptive, 1e-2f), 1);
  const BlockLoss out = train_on(model, count_up, 32, 16, 300, 0.01);
  CHECK(longest(out.mean_z) < 1);
}

TEST_CASE("dynamic spans are long for the tokens that have to look far, and short for others") {
  ModelConfig config = small_model(SpanKind::dynamic, 1e-4f);
  config.vocabulary = kMarks + kSymbols;
  double last = 0, others = 0;  // z of the last mark, mean z of the others; means over the seeds
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Transformer model(config, seed);
    train_on(model, marks_and_copy, 32, 16, 150, 0.01);
    last += longest_of(model, kLastMark) / kSeeds;
    for (int64_t mark = 1; mark < kLastMark; ++mark) {
      others += longest_of(model, mark) / (kSeeds * (kLastMark - 1));
    }
  }
  INFO("the last mark looks back ", last, ", the others ", others);
  CHECK(last > 2 * others);
}

TEST_CASE("spans stay within [0, 1] of the limit, however hard they are pushed") {
  struct Push {
    float price;
    int64_t steps;
    double learning_rate;
  };
  // At 0.1 the loss runs away, and pushes as well; at 0.03 the price alone decides, and 40 steps
  // are twice the way to a bound.
  for (const Push& push :
       {Push{0, 10, 0.1}, Push{10, 10, 0.1}, Push{0, 40, 0.03}, Push{10, 40, 0.03}}) {
    ModelConfig config = small_model(SpanKind::adaptive, push.price);
    config.span_init = 0.5f;
    Transformer model(config, 1);
    train_on(model, delayed_copy, 32, 4, push.steps, push.learning_rate);
    for (const Parameter* ratios : model.span_ratios()) {
      for (float ratio : ratios->value().values()) {
        CHECK(ratio >= 0);
        CHECK(ratio <= 1);
        if (push.price > 0 && push.learning_rate < 0.1) CHECK(ratio == 0);
      }
    }
  }
}
