// SPDX-License-Identifier: MIT
// Estimates against what trainings, evaluations and generations really take, each in a process of
// its own.
#include "adaspan/train/run/memory_need.h"

#include <doctest/doctest.h>

#include <string>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/generate.h"
#include "adaspan/models/span.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/evaluate.h"
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

/// The peak of training with these spans, a validation and a checkpoint.
double peak_of_training(const TrainingConfig& c, const Spans& z) {
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
    return std::string();
  });
  CHECK_MESSAGE((child.ended && !child.threw), child.text);
  return child.peak;
}

void check_near(double estimate, double peak) {
  INFO("estimated " << bytes_text(estimate) << ", measured " << bytes_text(peak));
  CHECK(estimate > 0.9 * peak);
  CHECK(estimate < 1.2 * peak);
}

void check_training(const TrainingConfig& c, const Spans& z) {
  open_process({.threads = 1});
  check_near(training_need(c, z).total(), peak_of_training(c, z));
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

TEST_CASE("what a generation takes is known before: adaptive input and output") {
  open_process({.threads = 1});
  const TrainingConfig c = word_config(/*tied=*/true);
  const ChildResult child = in_child([&] {
    const Transformer model(c.model, 1);
    generate(model, std::vector<int32_t>(1000, 1), {.length = 3});
    return std::string();
  });
  REQUIRE((child.ended && !child.threw));
  check_near(generation_need(c.model, 1000, 3, starting_spans(c.model)).total(), child.peak);
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

TEST_CASE("what a generation takes is known before, and is what a long prompt takes") {
  open_process({.threads = 1});
  const TrainingConfig c = small_config(SpanKind::fixed);
  const int64_t prompt = 20000;
  const ChildResult child = in_child([&] {
    const Transformer model(c.model, 1);
    generate(model, std::vector<int32_t>(static_cast<size_t>(prompt), 1), {.length = 3});
    return std::string();
  });
  REQUIRE((child.ended && !child.threw));
  check_near(generation_need(c.model, prompt, 3, starting_spans(c.model)).total(), child.peak);
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
