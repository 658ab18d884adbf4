// SPDX-License-Identifier: MIT
#include "adaspan/train/run/trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/train/run/evaluate.h"
#include "adaspan/train/run/fixed_validation.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

constexpr int64_t kVocabulary = 7;

Trainer random_trainer(const TrainingConfig& settings) {
  return {settings, kVocabulary, random_stream(300, kVocabulary, 1),
          random_stream(300, kVocabulary, 2)};
}

double distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, relative_distance(a[i], Array(b[i])));
  }
  return largest;
}

bool all_finite(const std::vector<Tensor>& tensors) {
  return std::ranges::all_of(tensors, [](const Tensor& t) {
    return std::ranges::all_of(t.values(), [](float x) { return std::isfinite(x); });
  });
}

TEST_CASE("the loss falls to almost nothing on a stream that repeats itself") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    Trainer trainer(tiny_config(kind), 5, repetitive_stream(400, 5), repetitive_stream(400, 5));
    const double first = trainer.step().loss;
    double last = first;
    for (int i = 0; i < 80; ++i) last = trainer.step().loss;
    CHECK(first > 1);
    CHECK(last < 0.1);
    CHECK(trainer.validate().loss < 0.1);
    CHECK(trainer.steps_done() == 81);
  }
}

#if defined(__x86_64__)
TEST_CASE(
    "a step flushes denormals in all its threads, called from any, and leaves them as before") {
  const auto denormals_after_a_step = [] {
    TrainingConfig s = tiny_config();
    s.optimizer.kind = OptimizerKind::sgd;
    s.optimizer.momentum = 0.5;
    Trainer trainer(s, 300, repetitive_stream(400, 5), repetitive_stream(400, 5));
    // Half of it is denormal; most embeddings have no gradient that would hide it.
    for (auto& [name, momentum] : trainer.optimizer().state()) {
      std::fill_n(momentum->data(), momentum->elements(), std::numeric_limits<float>::min());
    }
    trainer.step();
    CHECK(denormal_state() == 0);
    int64_t found = 0;
    for (auto& [name, momentum] : trainer.optimizer().state()) {
      for (float v : momentum->values()) found += std::fpclassify(v) == FP_SUBNORMAL;
    }
    return found;
  };
  for (int count : {1, 2, 3}) {
    set_threads(count);
    CHECK(denormals_after_a_step() == 0);
  }
  int64_t found = -1;
  std::thread([&] {
    set_threads(2);
    found = denormals_after_a_step();
  }).join();
  CHECK(found == 0);
  set_threads(1);
}
#endif

TEST_CASE("in bf16 the loss falls, too, and the weights stay f32") {
  if (!bf16_obstacle().empty()) return;
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    TrainingConfig s = tiny_config(kind);
    s.model.precision = DType::bf16;
    Trainer trainer(s, 5, repetitive_stream(400, 5), repetitive_stream(400, 5));
    const double first = trainer.step().loss;
    double last = first;
    for (int i = 0; i < 80; ++i) last = trainer.step().loss;
    CHECK(first > 1);
    CHECK(last < 0.1);
    CHECK(trainer.validate().loss < 0.1);
    for (const Parameter* p : trainer.model().parameters().all()) {
      CHECK(p->value().type() == DType::f32);
    }
  }
}

TEST_CASE("a step reports its loss, learning rate, gradient norm and spans") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.schedule.warmup = 4;
  Trainer trainer = random_trainer(s);
  const StepReport first = trainer.step();
  CHECK(first.step == 1);
  CHECK(first.learning_rate == Approx(s.schedule.learning_rate / 4));
  CHECK(first.gradient_norm > 0);
  REQUIRE(first.mean_z.size() == 2);
  CHECK(first.mean_z[1] == std::vector<float>(2, first.mean_z[0][0]));
  CHECK(first.mean_z[0][0] == Approx(0.4 * 24));
  CHECK(first.span_loss == Approx(1e-3 * 2 * 0.4 * 24));  // lambda, layers, mean span
  CHECK(trainer.step().learning_rate == Approx(s.schedule.learning_rate / 2));
}

TEST_CASE("a step reports the widest span of any token, whatever the parts of the batch") {
  TrainingConfig s = tiny_config(SpanKind::dynamic);
  Trainer one = random_trainer(s);
  s.batch.split = 2;
  Trainer parts = random_trainer(s);
  for (int i = 0; i < 4; ++i) {
    const StepReport whole = one.step(), split = parts.step();
    CHECK(split.widest_z[1][1] == Approx(whole.widest_z[1][1]).epsilon(1e-5));
    if (i > 0) CHECK(whole.widest_z[1][1] > 1.001f * whole.mean_z[1][1]);
  }
  s = tiny_config(SpanKind::adaptive);
  const StepReport adaptive = random_trainer(s).step();
  CHECK(adaptive.widest_z == adaptive.mean_z);
}

TEST_CASE("between stages nothing but the learning rate changes") {
  TrainingConfig one = tiny_config(SpanKind::adaptive), two = one;
  one.schedule.warmup = two.schedule.warmup = 6;
  two.schedule.stages = {{4, false, 1}, {7, false, 1}};
  Trainer plain = random_trainer(one), staged = random_trainer(two);
  for (int i = 0; i < 11; ++i) {
    CHECK(plain.step().loss == staged.step().loss);
    if (i == 2 || i == 8) CHECK(plain.validate().best == staged.validate().best);
  }
  CHECK(same_weights(weights(plain), weights(staged)));
  const Trainer::Progress a = plain.progress(), b = staged.progress();
  CHECK(a.train.column == b.train.column);
  CHECK(a.losses.best_validation == b.losses.best_validation);
  for (int64_t l = 0; l < 2; ++l) CHECK(same_bits(memory_of(plain, l), memory_of(staged, l)));
}

/// Losses, gradient norms and weights of some steps.
void check_same_bits(const TrainingConfig& a, const TrainingConfig& b) {
  Trainer one = random_trainer(a), other = random_trainer(b);
  for (int i = 0; i < 4; ++i) {
    const StepReport first = one.step(), second = other.step();
    CHECK(first.loss == second.loss);
    CHECK(first.gradient_norm == second.gradient_norm);
  }
  CHECK(same_weights(weights(one), weights(other)));
  for (int64_t l = 0; l < a.model.layers; ++l) {
    CHECK(same_bits(memory_of(one, l), memory_of(other, l)));
  }
}

TEST_CASE("layers' activations that are made again change no bit") {
  for (SpanKind kind : kSpanKinds) {
    for (int variant = 0; variant < 7; ++variant) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(variant);
      TrainingConfig s = tiny_config(kind);
      s.model.layers = 3;
      s.model.dropout = 0.3f;
      s.model.embedding_dropout = 0.1f;
      s.optimizer.kind = variant == 0 ? OptimizerKind::sgd : OptimizerKind::adagrad;
      s.optimizer.momentum = variant == 0 ? 0.9 : 0;
      if (variant == 1) s.model.persistent = 6;
      if (variant == 2) s.batch.split = 2;
      if (variant == 3) s.batch.exact_split = true;
      if (variant == 4) s.model.adaptive_io = {.on = true, .tied = true, .cutoffs = {2, 5}};
      if (variant == 5) s.model.cache_precision = CachePrecision::bf16;
      if (variant == 6 && bf16_obstacle().empty()) s.model.precision = DType::bf16;
      TrainingConfig again = s;
      again.batch.recompute = true;
      check_same_bits(s, again);
    }
  }
}

TEST_CASE("a memory in bf16 trains about as one in f32") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    TrainingConfig s = tiny_config(kind);
    s.model.cache_precision = CachePrecision::bf16;
    Trainer rounded = random_trainer(s);
    s.model.cache_precision = CachePrecision::of_activations;
    Trainer whole = random_trainer(s);
    double apart = 0;
    for (int i = 0; i < 6; ++i) {
      apart = std::max(apart, std::abs(rounded.step().loss / whole.step().loss - 1));
    }
    CHECK(apart < 1e-3);
    CHECK(apart > 0);
    CHECK(memory_of(rounded, 1).type() == DType::bf16);
    CHECK(memory_of(whole, 1).type() == DType::f32);
    CHECK(rounded.validate().loss == Approx(whole.validate().loss).epsilon(1e-2));
  }
}

TEST_CASE("a batch in 2 or 4 parts gives the loss and the weights of one piece") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    TrainingConfig s = tiny_config(kind);
    s.model.dropout = 0.3f;
    s.model.embedding_dropout = 0.2f;
    // Adagrad's first steps are of the gradient's sign: they magnify rounding.
    s.optimizer.kind = OptimizerKind::sgd;
    s.schedule.learning_rate = 0.1;
    s.model.span_loss = 0.01f;
    std::deque<Trainer> trainers;
    for (int64_t split : {1, 2, 4}) {
      s.batch.split = split;
      trainers.emplace_back(s, kVocabulary, random_stream(300, kVocabulary, 1),
                            random_stream(300, kVocabulary, 2));
    }
    for (int i = 0; i < 12; ++i) {  // beyond the end of the stream
      CAPTURE(i);
      const StepReport one = trainers[0].step();
      for (size_t t : {1, 2}) {
        const StepReport parts = trainers[t].step();
        CHECK(parts.loss == Approx(one.loss).epsilon(1e-5));
        CHECK(parts.span_loss == Approx(one.span_loss).epsilon(1e-5));
        CHECK(parts.gradient_norm == Approx(one.gradient_norm).epsilon(1e-4));
        CHECK(parts.mean_z[1][1] == Approx(one.mean_z[1][1]).epsilon(1e-5));
      }
    }
    for (size_t t : {1, 2}) CHECK(distance(weights(trainers[t]), weights(trainers[0])) <= 1e-4);
  }
}

TEST_CASE("the seed decides the run") {
  TrainingConfig s = tiny_config();
  s.model.dropout = 0.2f;
  const auto run = [&](int64_t seed) {
    s.run.seed = seed;
    Trainer trainer = random_trainer(s);
    trainer.step();
    return weights(trainer);
  };
  CHECK(same_weights(run(1), run(1)));
  CHECK_FALSE(same_weights(run(1), run(2)));
}

TEST_CASE("a loss that is no number stops at its step, and the weights stay finite") {
  TrainingConfig s = tiny_config();
  s.optimizer.kind = OptimizerKind::sgd;
  s.schedule.learning_rate = 1e30;
  s.optimizer.grad_clip = 0;
  Trainer trainer = random_trainer(s);
  std::vector<Tensor> before;
  const auto diverge = [&] {
    for (int i = 0; i < 20; ++i) {
      before = weights(trainer);
      trainer.step();
    }
  };
  CHECK_THROWS_WITH_AS(diverge(), Contains("[train] expected a finite loss and gradient; got "),
                       Error);
  CHECK(same_weights(weights(trainer), before));
  CHECK(all_finite(before));
  const std::string step = " at step " + std::to_string(trainer.steps_done() + 1) + "; what was";
  CHECK_THROWS_WITH_AS(trainer.step(), Contains(step.c_str()), Error);
  CHECK_THROWS_WITH_AS(trainer.step(),
                       Contains("what was saved stays; try a smaller schedule.learning_rate"),
                       Error);
}

TEST_CASE("spans stay between nothing and the limit whatever the update") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.schedule.learning_rate = 0.7;
  s.optimizer.grad_clip = 0;
  for (double price : {0.0, 0.1}) {
    s.model.span_loss = price;
    Trainer trainer = random_trainer(s);
    float smallest = 1, largest = 0;
    for (int i = 0; i < 6; ++i) {
      trainer.step();
      for (const Parameter* ratios : trainer.model().span_ratios()) {
        smallest = std::min(smallest, std::ranges::min(ratios->value().values()));
        largest = std::max(largest, std::ranges::max(ratios->value().values()));
      }
    }
    CHECK(smallest >= 0);
    CHECK(largest <= 1);
    if (price > 0) CHECK(smallest == 0);
  }
}

TEST_CASE("validations read the same text each time, from empty memory, and keep no memory") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.run.steps_per_round = 31;  // 9 blocks, which are all: 300 / 4 = 75 = 9 * 8 + 3
  Trainer trainer = random_trainer(s);
  CHECK(trainer.validation_blocks() == 9);
  const double first = trainer.validate().loss;
  CHECK(trainer.validate().loss == first);
  CHECK(first == evaluate(trainer.model(), random_stream(300, kVocabulary, 2), s.batch.sequences,
                          s.batch.block)
                     .loss);
  CHECK(!trainer.remembers(Trainer::MemoryOf::valid));
  CHECK(trainer.progress().valid == BlockReader::Position());
  for (int i = 0; i < 3; ++i) trainer.step();
  const double later = trainer.validate().loss;
  CHECK(later != first);
  CHECK(trainer.validate().loss == later);
}

TEST_CASE("a fixed validation goes through its text a few rows at a time") {
  CHECK(validation_rows(64) == 8);
  CHECK(validation_rows(12) == 6);
  CHECK(validation_rows(7) == 7);
  CHECK(validation_rows(11) == 1);
  TrainingConfig s = tiny_config(SpanKind::dynamic);
  s.batch.sequences = 12;
  s.run.steps_per_round = 31;
  Trainer trainer = random_trainer(s);
  trainer.step();
  const double all_at_once =
      evaluate(trainer.model(), random_stream(300, kVocabulary, 2), 12, s.batch.block).loss;
  const double loss = trainer.validate().loss;
  CHECK(loss == Approx(all_at_once).epsilon(1e-6));
  CHECK(trainer.validate().loss == loss);
  s.batch.split = 3;
  Trainer split = random_trainer(s);
  split.step();
  CHECK(split.validate().loss == Approx(loss).epsilon(1e-6));
}

TEST_CASE("a fixed validation costs less than a tenth of a round, counted from sizes") {
  TrainingConfig s = tiny_config();
  for (const auto& [round, blocks] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {6, 1}, {7, 2}, {10, 2}, {11, 3}, {30, 8}, {31, 9}, {1000, 9}}) {
    const int64_t steps = round;  // clang 14 captures no structured bindings
    CAPTURE(steps);
    s.run.steps_per_round = steps;
    CHECK(random_trainer(s).validation_blocks() == blocks);
    if (blocks > 1) CHECK(blocks / 3.0 < static_cast<double>(steps) / 10);
  }
}

TEST_CASE("losses of validations can be compared where they read the same text") {
  TrainingConfig s = tiny_config();
  s.run.steps_per_round = 31;
  const Trainer trainer = random_trainer(s);
  CHECK(trainer.validates_as(s));
  s.run.steps_per_round = 1000;
  CHECK(trainer.validates_as(s));
  s.run.steps_per_round = 10;
  CHECK_FALSE(trainer.validates_as(s));
  s.run.validation = ValidationMode::rolling;
  CHECK_FALSE(trainer.validates_as(s));
  const Trainer rolling = random_trainer(s);
  s.run.steps_per_round = 31;
  CHECK(rolling.validates_as(s));
}

TEST_CASE("rolling validations carry their memory on, each from where the last one ended") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.run.validation = ValidationMode::rolling;
  s.run.steps_per_round = 30;  // 3 blocks a validation
  Trainer trainer = random_trainer(s);
  const double first = trainer.validate().loss, second = trainer.validate().loss;
  CHECK(first != second);
  // Those were the first 6 blocks of the stream; the 9 that it has are 3 more.
  const double whole = evaluate(trainer.model(), random_stream(300, kVocabulary, 2),
                                s.batch.sequences, s.batch.block)
                           .loss;
  CHECK((first + second + trainer.validate().loss) / 3 == Approx(whole).epsilon(1e-6));
}

TEST_CASE("the first block after the end of a stream has no memory of the end") {
  TrainingConfig s = tiny_config();
  s.schedule.learning_rate = 0;
  s.run.steps_per_round = 1;
  s.run.validation = ValidationMode::rolling;
  const auto one_block =
      repetitive_stream(9 * s.batch.sequences, kVocabulary);  // comes again and again
  Trainer trainer(s, kVocabulary, one_block, one_block);
  CHECK(trainer.step().loss == trainer.step().loss);
  CHECK(trainer.validate().loss == trainer.validate().loss);
}

TEST_CASE("validating does not change what is learned") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.model.dropout = 0.2f;
  Trainer plain = random_trainer(s), watched = random_trainer(s);
  for (int i = 0; i < 3; ++i) {
    plain.step();
    watched.step();
    watched.validate();
  }
  CHECK(same_weights(weights(plain), weights(watched)));
}

TEST_CASE("text that is lost leaves a trainer as it was") {
  for (int64_t seed : {1, 2, 3, 4}) {  // from other columns the stream begins again
    TrainingConfig s = tiny_config(SpanKind::adaptive);
    s.run.validation = seed % 2 == 0 ? ValidationMode::fixed : ValidationMode::rolling;
    s.run.seed = seed;
    s.run.steps_per_round = 30;
    bool lost = false;
    int64_t reads = 0;
    const auto losing = [&](uint64_t text) {
      TokenStream stream = random_stream(300, kVocabulary, text);
      stream.read = [&, read = stream.read](int64_t begin, int64_t n, int32_t* out) {
        if (lost && ++reads > 2) throw DataLost("gone");
        read(begin, n, out);
      };
      return stream;
    };
    Trainer trainer(s, kVocabulary, losing(1), losing(2)), other = random_trainer(s);
    for (int i = 0; i < 9; ++i) {  // the next block begins the stream again
      trainer.step();
      other.step();
    }
    lost = true;
    CHECK_THROWS_AS(trainer.step(), DataLost);
    CHECK_THROWS_AS(trainer.validate(), DataLost);
    lost = false;
    CHECK(trainer.validate().loss == other.validate().loss);
    trainer.step();
    other.step();
    CHECK(same_weights(weights(trainer), weights(other)));
    CHECK(trainer.validate().loss == other.validate().loss);
  }
}

TEST_CASE("settings and streams that do not fit are refused") {
  TrainingConfig s = tiny_config();
  s.model.heads = 3;
  CHECK_THROWS_WITH_AS(random_trainer(s), Contains("[model] expected model.heads to divide"),
                       Error);
  s = tiny_config();
  const auto make = [&](int64_t train, int64_t valid) {
    Trainer(s, kVocabulary, random_stream(train, kVocabulary), random_stream(valid, kVocabulary));
  };
  CHECK_NOTHROW(make(36, 36));
  CHECK_THROWS_WITH_AS(make(35, 36), Contains("[data] expected at least 36 tokens"), Error);
  CHECK_THROWS_WITH_AS(make(36, 35), Contains("[data] expected at least 36 tokens"), Error);
}

TEST_CASE("progress of another batch or stream cannot be restored") {
  Trainer trainer = random_trainer(tiny_config());
  trainer.step();
  Trainer::Progress progress = trainer.progress();
  progress.train.column = 1000;
  CHECK_THROWS_WITH_AS(trainer.restore(progress), Contains("[data] expected a position within"),
                       Error);
  progress = trainer.progress();
  for (const int64_t restarts : {int64_t{-1}, int64_t{1} << 40}) {
    progress.train.restarts = restarts;
    CHECK_THROWS_WITH_AS(trainer.restore(progress), Contains("expected a count of passes"), Error);
  }
  progress = trainer.progress();
  for (const int64_t step : {int64_t{-1}, int64_t{1} << 32}) {
    progress.step = step;
    CHECK_THROWS_WITH_AS(trainer.restore(progress), Contains("steps done; got"), Error);
  }
}

}  // namespace
}  // namespace adaspan
