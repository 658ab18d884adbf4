// SPDX-License-Identifier: MIT
// Estimates against what trainings, evaluations and generations really take, each in a process of
// its own.
#include "adaspan/train/run/memory_need.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/decode/generate.h"
#include "adaspan/models/span.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/exact_evaluation.h"
#include "tests/support/child.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

/// 4 layers, some 100 MB.
TrainingConfig small_config(SpanKind kind) {
  TrainingConfig c;
  c.model = {.vocabulary = 205,
             .layers = 4,
             .hidden = 128,
             .inner = 512,
             .heads = 4,
             .span_limit = 512,
             .span_kind = kind,
             .adapt_cache = kind == SpanKind::adaptive,
             .dropout = 0.1f};
  c.batch.sequences = 16;
  c.batch.block = 128;
  c.run.rounds = 1;
  c.run.steps_per_round = 6;
  c.optimizer.kind = OptimizerKind::adagrad;
  return c;
}

/// Training with these spans, a validation and a checkpoint; its text tells of the pool.
ChildResult trained(const TrainingConfig& c, const Spans& z) {
  const TemporaryFolder folder;
  const ChildResult child = in_child([&] {
    open_process({.threads = 1});
    const int64_t size = c.batch.sequences * (8 * c.batch.block + 1);
    TokenStream stream = random_stream(size, c.model.vocabulary);
    Trainer trainer(c, c.model.vocabulary, stream, stream);
    for (int64_t i = 0; i < c.run.steps(); ++i) {
      const std::vector<Parameter*> ratios = trainer.model().span_ratios();
      for (size_t l = 0; l < ratios.size(); ++l) {
        for (size_t h = 0; h < z[l].size(); ++h) {
          ratios[l]->value().data()[h] = z[l][h] / static_cast<float>(c.model.span_limit);
        }
      }
      trainer.step();
    }
    trainer.validate();
    save_checkpoint(folder.path() / "c", trainer);
    const PoolUse use = pool_use();
    return "tensors " + bytes_text(static_cast<double>(use.peak)) + ", the pool " +
           bytes_text(static_cast<double>(use.reserved));
  });
  CHECK_MESSAGE((child.ended && !child.threw), child.text);
  return child;
}

void check_near(double estimate, double peak) {
  INFO("estimated " << bytes_text(estimate) << ", measured " << bytes_text(peak));
  CHECK(estimate > 0.9 * peak);
  CHECK(estimate < 1.2 * peak);
}

void check_training(const TrainingConfig& c, const Spans& z) {
  open_process({.threads = 1});
  const MemoryNeed need = training_need(c, z);
  const ChildResult child = trained(c, z);
  INFO(need.text() << ", kept " << bytes_text(need.kept) << "; " << child.text);
  check_near(need.total(), child.peak);
}

Spans full(const ModelConfig& c) {
  return Spans(static_cast<size_t>(c.layers),
               std::vector(static_cast<size_t>(c.heads), static_cast<float>(c.span_limit)));
}

/// One head of each layer looks far.
Spans mixed(const ModelConfig& c) {
  Spans z = starting_spans(c);
  for (auto& layer : z) layer[0] = 0.7f * static_cast<float>(c.span_limit);
  return z;
}

/// As a part of a corpus is evaluated: token by token.
const TokenLossVisitor kNobody = [](const Tensor&, const Tensor&, const Tensor&) {};

TEST_CASE("what a training takes is known before: adaptive spans, at the start and as they grow") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  check_training(c, starting_spans(c.model));
  check_training(c, mixed(c.model));
  check_training(c, full(c.model));
}

TEST_CASE("what a training takes is known before: dynamic and fixed spans") {
  for (SpanKind kind : {SpanKind::dynamic, SpanKind::fixed}) {
    const TrainingConfig c = small_config(kind);
    check_training(c, starting_spans(c.model));
  }
}

TEST_CASE("what a training takes is known before: in parts, with Adam, in bf16") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.batch.sequences = 32;
  c.batch.split = 4;
  c.optimizer.kind = OptimizerKind::adam;
  check_training(c, starting_spans(c.model));
  c.batch.split = 1;
  c.model.precision = DType::bf16;
  check_training(c, mixed(c.model));
}

TEST_CASE("what a training takes is known before: activations that are made again") {
  for (SpanKind kind : kSpanKinds) {
    TrainingConfig c = small_config(kind);
    c.model.layers = 8;
    c.batch.recompute = true;
    const double kept = training_need(c, starting_spans(c.model)).total();
    check_training(c, starting_spans(c.model));
    c.batch.recompute = false;
    CHECK(kept < 0.75 * training_need(c, starting_spans(c.model)).total());
  }
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.batch.recompute = true;
  c.batch.sequences = 32;
  c.batch.split = 2;
  check_training(c, mixed(c.model));
  c.model.precision = DType::bf16;
  c.model.persistent = 600;
  check_training(c, full(c.model));
}

/// The widest z of each head in a training of dynamic spans, which learns them.
Spans widest_of_training(const TrainingConfig& c) {
  Spans widest = starting_spans(c.model);
  const ChildResult child = in_child([&] {
    open_process({.threads = 1});
    const int64_t size = c.batch.sequences * (8 * c.batch.block + 1);
    TokenStream stream = random_stream(size, c.model.vocabulary);
    Trainer trainer(c, c.model.vocabulary, stream, stream);
    std::string text;
    for (int64_t i = 0; i < c.run.steps(); ++i) {
      for (const auto& layer : trainer.step().widest_z) {
        for (float z : layer) text += std::to_string(z) + " ";
      }
    }
    return text;
  });
  std::istringstream numbers(child.text);
  for (int64_t i = 0; i < c.run.steps(); ++i) {
    for (auto& layer : widest) {
      for (float& z : layer) {
        float now = 0;
        REQUIRE(static_cast<bool>(numbers >> now));
        z = std::max(z, now);
      }
    }
  }
  return widest;
}

TEST_CASE("what a training takes is known before: dynamic spans that grow, by the widest of them") {
  TrainingConfig c = small_config(SpanKind::dynamic);
  c.model.persistent = 600;
  c.batch.split = 4;
  open_process({.threads = 1});
  const Spans widest = widest_of_training(c);
  CHECK(widest[3][0] > 4 * starting_spans(c.model)[3][0]);
  check_training(c, widest);
  c.batch.split = 1;
  check_training(c, widest_of_training(c));
}

TEST_CASE("what a training takes is known before: dynamic spans in parts") {
  TrainingConfig c = small_config(SpanKind::dynamic);
  c.schedule.learning_rate = 0;
  c.batch.split = 4;
  check_training(c, starting_spans(c.model));
  c.model.persistent = 600;
  check_training(c, starting_spans(c.model));
  c.batch.split = 1;
  check_training(c, starting_spans(c.model));
  c.batch.sequences = 32;
  c.batch.exact_split = true;
  check_training(c, starting_spans(c.model));
  c.model.precision = DType::bf16;
  check_training(c, starting_spans(c.model));
}

TEST_CASE("what a training takes is known before: a memory in bf16") {
  TrainingConfig c = small_config(SpanKind::fixed);
  c.batch.block = 64;
  c.run.steps_per_round = 12;
  const double wide = training_need(c, full(c.model)).memory;
  c.model.cache_precision = CachePrecision::bf16;
  CHECK(training_need(c, full(c.model)).memory < 0.6 * wide);
  check_training(c, full(c.model));
  c.batch.recompute = true;
  check_training(c, full(c.model));
}

TEST_CASE("what a training takes is known before: with an average of many weights") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.model.inner = 8192;
  c.batch.sequences = 4;
  c.optimizer.average = 0.999;
  check_training(c, starting_spans(c.model));
}

TEST_CASE("what a training takes is known before: persistent vectors") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.model.persistent = 600;
  check_training(c, mixed(c.model));
  c.batch.split = 2;
  check_training(c, starting_spans(c.model));
  c.model.precision = DType::bf16;
  check_training(c, full(c.model));
}

TEST_CASE("what a training takes is known before: a large vocabulary") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.model.vocabulary = 20000;
  c.batch.sequences = 4;
  check_training(c, starting_spans(c.model));
}

/// Most words are of rare clusters, as the ids are uniform.
TrainingConfig word_config(bool tied) {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.model.vocabulary = 60000;
  c.model.adaptive_io = {.on = true, .tied = tied, .divval = 2, .cutoffs = {4000, 20000}};
  c.optimizer.kind = OptimizerKind::adam;
  return c;
}

TEST_CASE("what a training takes is known before: adaptive input and output") {
  TrainingConfig c = word_config(/*tied=*/true);
  check_training(c, starting_spans(c.model));
  c.batch.sequences = 64;
  c.model.precision = DType::bf16;
  check_training(c, starting_spans(c.model));
  c = word_config(/*tied=*/false);
  c.batch.split = 4;
  check_training(c, mixed(c.model));
}

TEST_CASE("what an evaluation takes is known before: adaptive input and output") {
  open_process({.threads = 1});
  const TrainingConfig c = word_config(/*tied=*/true);
  const int64_t B = 64, M = c.batch.block, size = B * (6 * M + 1);
  const ChildResult child = in_child([&] {
    const Transformer model(c.model, 1);
    evaluate(model, random_stream(size, c.model.vocabulary), B, M, kNobody);
    return std::string();
  });
  REQUIRE((child.ended && !child.threw));
  check_near(evaluation_need(c.model, B, M, size, starting_spans(c.model)).total(), child.peak);
}

TEST_CASE("what an evaluation takes is known before") {
  open_process({.threads = 1});
  const TrainingConfig c = small_config(SpanKind::fixed);
  const int64_t B = 64, M = c.batch.block, size = B * (6 * M + 1);
  const ChildResult child = in_child([&] {
    const Transformer model(c.model, 1);
    evaluate(model, random_stream(size, c.model.vocabulary), B, M, kNobody);
    return std::string();
  });
  REQUIRE((child.ended && !child.threw));
  check_near(evaluation_need(c.model, B, M, size, starting_spans(c.model)).total(), child.peak);
}

TEST_CASE("what an exact evaluation takes is known before: one row of long blocks, many rows") {
  open_process({.threads = 1});
  const auto check = [](SpanKind kind, const EvaluationShape& shape) {
    CAPTURE(static_cast<int>(kind));
    CAPTURE(shape.block.value_or(0));
    const TrainingConfig c = small_config(kind);
    const TokenStream stream = random_stream(100000, c.model.vocabulary);
    const ChildResult child = in_child([&] {
      const Transformer model(c.model, 1);
      evaluate_exactly(model, stream, plan_exact(model, c.batch, stream, shape),
                       [](const ScoredToken&) {});
      return std::string();
    });
    REQUIRE((child.ended && !child.threw));
    const EvaluationPlan plan = plan_exact(Transformer(c.model, 1), c.batch, stream, shape);
    check_near(evaluation_need(c.model, plan.B, plan.M, plan.B * plan.columns(stream.size),
                               starting_spans(c.model))
                   .total(),
               child.peak);
  };
  for (const EvaluationShape& shape :
       {EvaluationShape{.rows = 1, .block = 8192}, EvaluationShape{.rows = 32, .block = 128}}) {
    check(SpanKind::fixed, shape);
    check(SpanKind::adaptive, shape);
  }
}

void check_generation(ModelConfig c, int64_t prompt, const DecoderOptions& options) {
  open_process({.threads = 1});
  c.hidden = 512;  // some 100 MB, beside which the program is small
  c.inner = 2048;
  const ChildResult child = in_child([&] {
    const Transformer model(c, 1);
    Decoder decoder(model, options);
    const std::vector<int32_t> text(static_cast<size_t>(prompt), 1);
    generate(decoder, text, {.length = 3}, [](int64_t, int32_t, float) { return true; });
    return std::string();
  });
  REQUIRE((child.ended && !child.threw));
  check_near(generation_need(c, prompt, options, starting_spans(c)).total(), child.peak);
}

TEST_CASE("what a generation takes is known before, and is what a long prompt takes") {
  ModelConfig c = small_config(SpanKind::fixed).model;
  for (const int64_t prompt : {1, 20000}) {
    check_generation(c, prompt, {});
    check_generation(c, prompt, {.texts = 8});
    check_generation(c, prompt, {.storage = DType::bf16});
  }
  c.span_limit = 8192;
  check_generation(c, 3, {.texts = 3});
  check_generation(word_config(/*tied=*/true).model, 1000, {});
}

TEST_CASE("the weights are counted as the model has them") {
  for (SpanKind kind : kSpanKinds) {
    ModelConfig c = tiny_config(kind).model;
    c.vocabulary = 7;
    CHECK(parameter_count(c) == static_cast<double>(Transformer(c, 1).parameters().elements()));
  }
}

TEST_CASE("sizes that no machine has are counted, too") {
  TrainingConfig c = small_config(SpanKind::adaptive);
  c.model.hidden = c.model.inner = c.batch.block = c.batch.sequences = int64_t{1} << 30;
  c.model.span_limit = int64_t{1} << 30;
  CHECK(training_need(c, full(c.model)).total() > 1e27);
  CHECK(weights_need(c.model).total() > 1e18);
}

}  // namespace
}  // namespace adaspan
