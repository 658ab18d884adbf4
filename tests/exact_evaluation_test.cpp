// SPDX-License-Identifier: MIT
#include "adaspan/train/run/exact_evaluation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Contains;

constexpr int64_t kVocabulary = 23;
constexpr int64_t kTokens = 401;

/// Models whose heads do not all look equally far, and each thing that decides what is seen.
struct Kind {
  std::string name;
  ModelConfig config;
};
std::vector<Kind> kinds() {
  std::vector<Kind> all;
  const auto add = [&](const std::string& name, SpanKind kind, auto change) {
    ModelConfig c = tiny_config(kind).model;
    c.vocabulary = kVocabulary;
    c.adapt_cache = false;
    change(c);
    all.push_back({name, c});
  };
  for (const bool skip : {false, true}) {
    const std::string rest = skip ? ", missing steps left out" : "";
    const auto plain = [&](ModelConfig& c) { c.skip_missing = skip; };
    add("fixed" + rest, SpanKind::fixed, plain);
    add("adaptive" + rest, SpanKind::adaptive, plain);
    add("adaptive, cache adapted" + rest, SpanKind::adaptive, [&](ModelConfig& c) {
      c.span_limit = 150;  // so that a memory of 64 more than the window is shorter
      c.span_init = 0.04f;
      c.adapt_cache = true;
      c.skip_missing = skip;
    });
    add("dynamic" + rest, SpanKind::dynamic, plain);
    add("persistent" + rest, SpanKind::adaptive, [&](ModelConfig& c) {
      c.persistent = 5;
      c.skip_missing = skip;
    });
  }
  for (const bool tied : {false, true}) {
    add(tied ? "adaptive io, tied" : "adaptive io", SpanKind::adaptive, [&](ModelConfig& c) {
      c.adaptive_io = {.on = true, .tied = tied, .divval = 2, .cutoffs = {5, 12}};
    });
  }
  return all;
}

/// A model whose spans were learned, as it were: different ones, and of dynamic spans such that
/// depend on what is read.
void set_spans(Transformer& model) {
  float ratio = model.config().span_init;
  for (Parameter* p : model.span_ratios()) {
    Tensor& value = p->value();
    for (int64_t i = 0; i < value.elements(); ++i) value.data()[i] = ratio *= 0.83f;
  }
  for (Parameter* p : model.parameters().all()) {
    if (!p->name().ends_with("dynamic_span.weight")) continue;
    Tensor& value = p->value();
    for (int64_t i = 0; i < value.elements(); ++i) value.data()[i] = i % 2 ? -0.4f : 0.7f;
  }
}

struct Scored {
  explicit Scored(int64_t n = kTokens) : losses(static_cast<size_t>(n), -1) {}
  std::vector<double> losses;  // by position; below 0 where none was
  Evaluation evaluation;
};

Scored score(const Transformer& model, const TokenStream& stream, int64_t B, int64_t M) {
  Scored all(stream.size);
  const EvaluationPlan plan{.B = B, .M = M, .W = warm_up(model)};
  all.evaluation = evaluate_exactly(model, stream, plan, [&](const ScoredToken& token) {
    double& loss = all.losses[static_cast<size_t>(token.position)];
    CHECK(loss < 0);  // once each
    loss = token.loss;
    int32_t pair[2];
    stream.read(token.position - 1, 2, pair);
    CHECK((token.before == pair[0] && token.id == pair[1]));
  });
  return all;
}

/// Every token by itself: what the model says of the next one, from all that came before.
std::vector<double> one_by_one(const Transformer& model, const TokenStream& stream) {
  std::vector<double> losses(static_cast<size_t>(stream.size), -1);
  std::vector<int32_t> ids(losses.size());
  stream.read(0, stream.size, ids.data());
  Memory memory = model.fresh_memory(1);
  for (size_t i = 1; i < ids.size(); ++i) {
    BlockPrediction out = model.predict(Tensor::of({1, 1}, std::span(&ids[i - 1], 1)), memory);
    memory = std::move(out.memory);
    losses[i] = -out.log_probabilities.data()[ids[i]];
  }
  return losses;
}

double mean(const std::vector<double>& losses) {
  double sum = 0;
  for (size_t i = 1; i < losses.size(); ++i) sum += losses[i];
  return sum / static_cast<double>(losses.size() - 1);
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (size_t i = 1; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

TEST_CASE("every token but the first is scored once, as if each were predicted by itself") {
  const TokenStream stream = random_stream(kTokens, kVocabulary);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Transformer model(kind.config, 1);
    set_spans(model);
    const std::vector<double> expected = one_by_one(model, stream);
    for (const int64_t B : {1, 2, 3, 7}) {
      for (const int64_t M : {1, 8, 13, 400}) {
        CAPTURE(B);
        CAPTURE(M);
        const Scored found = score(model, stream, B, M);
        CHECK(found.evaluation.tokens == kTokens - 1);
        CHECK(std::abs(found.evaluation.loss - mean(expected)) <= 1e-6 * mean(expected));
        CHECK(std::abs(found.evaluation.loss - mean(found.losses)) <= 1e-12);
        CHECK(largest_difference(found.losses, expected) <= 1e-4);
      }
    }
  }
}

TEST_CASE("in bf16 the value is the same to a thousandth") {
  if (!bf16_obstacle().empty()) return;
  const TokenStream stream = random_stream(kTokens, kVocabulary);
  for (Kind& kind : kinds()) {
    CAPTURE(kind.name);
    kind.config.precision = DType::bf16;
    Transformer model(kind.config, 1);
    set_spans(model);
    const double whole = score(model, stream, 1, 400).evaluation.loss;
    for (const int64_t B : {1, 3}) {
      for (const int64_t M : {8, 64}) {
        CAPTURE(B);
        CAPTURE(M);
        CHECK(std::abs(score(model, stream, B, M).evaluation.loss - whole) <= 1e-3 * whole);
      }
    }
  }
}

TEST_CASE("the overlap is as long as it must be: a layer's reach less is not enough") {
  const TokenStream stream = random_stream(kTokens, kVocabulary);
  ModelConfig c = tiny_config(SpanKind::fixed).model;
  c.vocabulary = kVocabulary;
  const Transformer model(c, 1);
  CHECK(warm_up(model) == 2 * 24);
  const double whole = score(model, stream, 1, 400).evaluation.loss;
  const auto with = [&](int64_t W) {
    const EvaluationPlan plan{.B = 7, .M = 16, .W = W};
    return evaluate_exactly(model, stream, plan, [](const ScoredToken&) {}).loss;
  };
  CHECK(std::abs(with(48) - whole) <= 1e-6 * whole);
  CHECK(std::abs(with(24) - whole) > 1e-6 * whole);
  CHECK(std::abs(with(0) - whole) > 1e-5 * whole);
}

TEST_CASE("the overlap follows the widest head of each layer") {
  ModelConfig c = tiny_config(SpanKind::adaptive).model;  // S 24, R 4
  c.vocabulary = kVocabulary;
  Transformer model(c, 1);
  const float ratios[2][2] = {{0.0f, 0.125f}, {0.51f, 0.25f}};
  for (size_t l = 0; l < 2; ++l) {
    for (int h = 0; h < 2; ++h) model.span_ratios()[l]->value().data()[h] = ratios[l][h];
  }
  CHECK(warm_up(model) == (3 + 4) + (13 + 4));
  c.span_kind = SpanKind::dynamic;
  CHECK(warm_up(Transformer(c, 1)) == 48);
}

TEST_CASE("rows meet without a gap and are equally long") {
  for (const int64_t n : {2, 3, 10, 11, 50, 101, 1000}) {
    for (const int64_t W : {1, 9, 10, 48}) {
      for (const int64_t B : {1, 2, 3, 7, 40}) {
        if (B > n - 1) continue;
        CAPTURE(n);
        CAPTURE(W);
        CAPTURE(B);
        const std::vector<TextRow> rows = exact_rows(n, B, W);
        const EvaluationPlan plan{.B = B, .M = 1, .W = W};
        CHECK(rows.front().first == 1);
        CHECK(rows.back().end == n);
        int64_t most = 0;
        for (size_t b = 0; b < rows.size(); ++b) {
          if (b > 0) CHECK(rows[b].first == rows[b - 1].end);
          if (b > 0) CHECK(rows[b].first == rows[b].begin + W + 1);
          CHECK(rows[b].end >= rows[b].first);
          most = std::max(most, rows[b].inputs());
        }
        CHECK(rows.back().inputs() == most);
        CHECK(plan.columns(n) == most);
      }
    }
  }
}

TEST_CASE("rows and blocks that were left open: a tenth of overlap, as many tokens as a part") {
  ModelConfig c = tiny_config(SpanKind::fixed).model;  // W 48
  c.vocabulary = kVocabulary;
  const Transformer model(c, 1);
  const BatchConfig batch{.sequences = 64, .block = 32, .split = 2};
  const auto plan = [&](int64_t n, const EvaluationShape& given = {}) {
    return plan_exact(model, batch, random_stream(n, kVocabulary), given);
  };
  CHECK(plan(49).B == 1);
  CHECK(plan(481).B == 2);  // 48 of 480
  CHECK(plan(480).B == 1);
  CHECK(plan(5000).B == 11);
  CHECK(plan(5000).M == 2 * 32);
  CHECK(plan(100000).B == 32);
  CHECK(plan(100000).M == 32);
  CHECK(plan(481).M == 48 + 216);  // 16 blocks, but the rows are no longer
  CHECK(plan(5000, {.rows = 3, .block = 5}).B == 3);
  CHECK(plan(5000, {.rows = 3, .block = 5}).M == 5);
  CHECK(plan(49, {.rows = 3}).B == 1);  // no row could begin with 48 tokens
  CHECK(plan(2).columns(2) == 1);
}

TEST_CASE("where memory is scarce blocks and rows are smaller, until nothing is left to give") {
  ModelConfig c = tiny_config(SpanKind::fixed).model;
  c.vocabulary = kVocabulary;
  c.span_limit = 1;
  c.hidden = 256;
  c.inner = 1024;
  c.layers = 1;
  const Transformer model(c, 1);
  const BatchConfig batch{.sequences = 64, .block = 512};
  const TokenStream stream = random_stream(200000, kVocabulary);
  const auto with = [](int64_t bytes) {
    MemoryState state;
    state.resident = 0;
    state.free = {{MemoryLimit::machine, bytes}};
    return state;
  };
  const auto need = [&](int64_t B, int64_t M) {
    const EvaluationPlan plan{.B = B, .M = M, .W = warm_up(model)};
    return static_cast<int64_t>(
        evaluation_need(c, B, M, B * plan.columns(stream.size), model.spans()).total());
  };
  const EvaluationPlan plenty = plan_exact(model, batch, stream);
  CHECK(plenty.B == 64);
  const EvaluationPlan fewer = plan_exact(model, batch, stream, {}, with(need(64, 512) - 1));
  CHECK(fewer.B == 32);
  CHECK(plan_exact(model, batch, stream, {.rows = 64}, with(need(64, 512) - 1)).M == 256);
  CHECK_THROWS_WITH_AS(
      plan_exact(model, batch, stream, {.rows = 64, .block = 512}, with(need(64, 512) - 1)),
      Contains("; leave batch.sequences and batch.block out, or take smaller ones"), OutOfMemory);
  CHECK_THROWS_WITH_AS(plan_exact(model, batch, stream, {}, with(1000)),
                       Contains("[memory] expected this evaluation to fit into 0 MB"), OutOfMemory);
}

TEST_CASE("the same bits for any number of threads") {
  const TokenStream stream = random_stream(kTokens, kVocabulary);
  ModelConfig c = tiny_config(SpanKind::adaptive).model;
  c.vocabulary = kVocabulary;
  const Transformer model(c, 1);
  const Scored one = score(model, stream, 3, 40);
  set_threads(3);
  const Scored three = score(model, stream, 3, 40);
  set_threads(1);
  CHECK(one.evaluation.loss == three.evaluation.loss);
  CHECK(one.losses == three.losses);
}

TEST_CASE("mean spans are those of all that was read") {
  const TokenStream stream = random_stream(kTokens, kVocabulary);
  ModelConfig c = tiny_config(SpanKind::dynamic).model;
  c.vocabulary = kVocabulary;
  Transformer model(c, 1);
  set_spans(model);
  const auto expected = score(model, stream, 1, 400).evaluation.mean_z;
  const auto found = score(model, stream, 1, 7).evaluation.mean_z;  // the last block has 1 token
  for (size_t l = 0; l < 2; ++l) {
    for (size_t h = 0; h < 2; ++h) CHECK(found[l][h] == doctest::Approx(expected[l][h]));
  }
}

TEST_CASE("a text without two tokens, and numbers that are out of range, are refused") {
  ModelConfig c = tiny_config(SpanKind::fixed).model;
  c.vocabulary = kVocabulary;
  const Transformer model(c, 1);
  const auto refuse = [&](int64_t n, const EvaluationShape& given, const char* expected) {
    CHECK_THROWS_WITH_AS(plan_exact(model, {}, random_stream(n, kVocabulary), given),
                         Contains(expected), Error);
  };
  refuse(1, {}, "[eval] expected at least 2 tokens in the random stream");
  refuse(100, {.rows = 0}, "[eval] expected batch.sequences of 1 to 99");
  refuse(100, {.rows = 100}, "got 100; leave it out, or take a smaller one");
  refuse(100, {.block = 0}, "[eval] expected batch.block of at least 1; got 0");
}

}  // namespace
}  // namespace adaspan
