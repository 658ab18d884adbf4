// SPDX-License-Identifier: MIT
#include "adaspan/models/cost.h"

#include <doctest/doctest.h>

#include "adaspan/core/error.h"
#include "adaspan/models/clusters.h"
#include "app/bench/steady_training.h"
#include "app/settings.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

TEST_CASE("a small model's step costs what one counts by hand") {
  const ModelConfig config{.vocabulary = 5,
                           .layers = 1,
                           .hidden = 4,
                           .inner = 8,
                           .heads = 2,
                           .span_limit = 10,
                           .ramp = 3};
  // A token's multiply-adds: query, key, value and output 4*16, feed-forward 2*4*8, logits 4*5.
  // Each is 2 operations, and is done forward and for two gradients. There are 2*3 tokens.
  const double linear = (64 + 64 + 20) * 2 * 3 * 6;
  // The heads look back 3 and ceil(4.5) + 3 = 8 steps; of each step of memory of the 2 sequences
  // they need key and value, 2*4*2 multiply-adds, forward and for the weights' gradient.
  const double memory = (3 + 8) * 2 * (2 * 4 * 2) * 2 * 2;
  const double attention = 18 * 2 * (3 + 8) * 6;
  CHECK(useful_flops(config, 2, 3, {{0, 4.5f}}) == linear + memory + attention);
  // Keys and values of 6 persistent vectors in the place of the feed-forward layer: 2*4*6.
  ModelConfig persistent = config;
  persistent.persistent = 6;
  CHECK(useful_flops(persistent, 2, 3, {{0, 4.5f}}) ==
        linear + memory + attention - (64 - 48) * 2 * 3 * 6);
}

ModelConfig published(int64_t layers, int64_t hidden, int64_t inner, int64_t vocabulary) {
  return {.vocabulary = vocabulary, .layers = layers, .hidden = hidden, .inner = inner};
}

TEST_CASE("FLOPS of a token are those of the paper's table at its mean spans") {
  CHECK(flops_per_token(published(12, 512, 2048, 28), 314) == 41'621'504);  // 42M
  CHECK(flops_per_token(published(24, 768, 3072, 28), 245) == Approx(179e6).epsilon(0.002));
  // The model of 209M parameters has F = 4096, which 179M does not fit.
  CHECK(flops_per_token(published(24, 768, 4096, 28), 245) == 216'671'232);
}

TEST_CASE("FLOPS of a token count what it needs") {
  ModelConfig c{.vocabulary = 5, .layers = 3, .hidden = 4, .inner = 8};
  CHECK(flops_per_token(c, 1.5) == 3 * (4 * 16 + 2 * 4 * 8 + 2 * 4 * 1.5) + 4 * 5);
  c.persistent = 6;  // in the place of the feed-forward layer
  CHECK(flops_per_token(c, 1.5) == 3 * (4 * 16 + 2 * 4 * 6 + 2 * 4 * 1.5) + 4 * 5);
  c.vocabulary = 9;
  c.adaptive_io = {.on = true, .divval = 2, .cutoffs = {2, 6}};
  // As in the test below: projections, words and clusters of those that a token is expected to
  // need.
  const double head = 16 + 16, input = 0.5 * 16 + 0.25 * 8 + 0.25 * 4;
  CHECK(flops_per_token(c, 0, {0.5, 0.25, 0.25}) ==
        3 * (4 * 16 + 2 * 4 * 6) + head + 0.25 * 16 + 0.25 * 7 + input);
}

TEST_CASE("a rare cluster costs what its share of the tokens does") {
  const ModelConfig config{.vocabulary = 9,
                           .layers = 1,
                           .hidden = 4,
                           .inner = 8,
                           .heads = 2,
                           .span_limit = 10,
                           .ramp = 3,
                           .adaptive_io = {.on = true, .divval = 2, .cutoffs = {2, 6}}};
  // The clusters: 2, 4 and 3 words of widths 4, 2 and 1. Head: projection 4*4, 2 words and 2
  // clusters of 4; cluster 1: 4*2 + 4*2, cluster 2: 4*1 + 3*1. Input: 4*4, 4*2, 4*1.
  const double in_and_out = 16 + 16 + 0.25 * 16 + 0.25 * 7 + (0.5 * 16 + 0.25 * 8 + 0.25 * 4);
  const auto cost = [&](const std::vector<double>& shares) {
    return useful_flops(config, 2, 3, {{0, 4.5f}}, shares);
  };
  ModelConfig plain = config;
  plain.adaptive_io.on = false;
  const double rest = useful_flops(plain, 2, 3, {{0, 4.5f}}) - 4 * 9 * 2 * 3 * 6;
  CHECK(cost({0.5, 0.25, 0.25}) == Approx(rest + in_and_out * 2 * 3 * 6));
  CHECK(cost({}) == cost(zipf_shares(config)));
}

TEST_CASE("no head costs more than the span limit") {
  ModelConfig config{.vocabulary = 5,
                     .layers = 1,
                     .hidden = 4,
                     .inner = 8,
                     .heads = 1,
                     .span_limit = 10,
                     .ramp = 3};
  const auto cost = [&](float z) { return useful_flops(config, 2, 3, {{z}}); };
  CHECK(cost(7) == cost(10));
  CHECK(cost(6) < cost(7));
  config.ramp = 32;
  CHECK(cost(0) == cost(10));
}

TEST_CASE("a step of enwik8_small at its initial spans is 652 billion operations") {
  SettingTexts texts;
  give_toml(texts, ADASPAN_PRESETS "/enwik8_small.toml");
  const TrainingConfig c = settings_of(texts).training;
  ModelConfig config = c.model;
  config.vocabulary = 205;
  const double flops =
      useful_flops(config, c.batch.sequences, c.batch.block, span_pattern("initial", config));
  CHECK(flops == Approx(652e9).epsilon(0.01));
}

TEST_CASE("the patterns of spans are those of the benchmark's description") {
  const ModelConfig config{.layers = 8, .heads = 4, .span_limit = 1024};
  using Spans = std::vector<std::vector<float>>;
  CHECK(span_pattern("initial", config) == Spans(8, {0, 0, 0, 0}));
  CHECK(span_pattern("full", config) == Spans(8, {1024, 1024, 1024, 1024}));
  Spans trained(4, {20, 20, 20, 20});
  trained.resize(8, {614, 20, 20, 20});
  CHECK(span_pattern("trained", config) == trained);
  CHECK_THROWS_WITH_AS(
      span_pattern("long", config),
      "[bench] expected --spans to be initial, trained, full or a file; got \"long\"", Error);
}

}  // namespace
}  // namespace adaspan
