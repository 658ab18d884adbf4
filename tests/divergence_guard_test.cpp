// SPDX-License-Identifier: MIT
#include "adaspan/train/run/divergence_guard.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "adaspan/core/error.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t V = 7;

TrainingConfig skipping(SpanKind kind = SpanKind::adaptive) {
  TrainingConfig s = tiny_config(kind);
  s.model.dropout = 0.2f;
  s.optimizer.kind = OptimizerKind::adam;
  s.optimizer.average = 0.9;
  s.schedule.learning_rate = 0.003;
  s.run.divergence.action = OnDivergence::skip;
  return s;
}

Trainer trainer_of(const TrainingConfig& s) {
  return {s, V, random_stream(300, V, 1), random_stream(300, V, 2)};
}

/// A step during which one weight is no number.
StepReport broken_step(Trainer& trainer) {
  float& weight = trainer.model().parameters().all()[3]->value().data()[0];
  const float before = std::exchange(weight, kNan);
  const StepReport report = trainer.step();
  CHECK(std::isnan(weight));  // no update has touched it
  weight = before;
  return report;
}

std::vector<Tensor> all_state(Trainer& trainer) {
  std::vector<Tensor> copies = weights(trainer);
  for (const auto& [name, tensor] : trainer.optimizer().state()) copies.push_back(tensor->clone());
  for (const auto& [name, tensor] : trainer.average()->state()) copies.push_back(tensor->clone());
  return copies;
}

/// Steps that a layer remembers, of the first part of the batch.
int64_t remembered(const Trainer& trainer, int64_t layer) {
  return trainer.layer_memory(Trainer::MemoryOf::train, layer)[0].steps();
}

TEST_CASE("what is not finite has diverged; a long gradient only by a factor, and a known mean") {
  DivergenceGuard any({});
  CHECK(any.diverged(kInf, 1));
  CHECK(any.diverged(1, std::nan("")));
  CHECK_FALSE(any.diverged(1, 1e30));
  DivergenceGuard guard({.factor = 3});
  for (int i = 0; i < 99; ++i) guard.accept(2);
  CHECK_FALSE(guard.diverged(1, 1e30));
  guard.accept(2);
  CHECK(guard.mean_norm() == Approx(2));
  CHECK(guard.diverged(1, 6.01));
  CHECK_FALSE(guard.diverged(1, 5.99));
}

TEST_CASE("the mean is of accepted steps, weighted by 0.99 to the power of their age") {
  DivergenceGuard guard({.action = OnDivergence::skip});
  double sum = 0, share = 0;
  for (int i = 0; i < 40; ++i) {
    guard.accept(1 + i % 7);
    guard.skip();
    sum += std::pow(0.99, 39 - i) * std::log(1 + i % 7);
    share += std::pow(0.99, 39 - i);
  }
  CHECK(guard.mean_norm() == Approx(std::exp(sum / share)));
  CHECK(guard.state().skips == 40);
  CHECK(guard.state().in_a_row == 1);
}

TEST_CASE("one gradient that is beyond all measure does not make the mean useless") {
  DivergenceGuard guard({.factor = 3});
  for (int i = 0; i < 100; ++i) guard.accept(i == 60 ? 1e12 : i == 70 ? 0 : 2);
  CHECK(guard.diverged(1, 10));
  CHECK_FALSE(guard.diverged(1, 2));
}

TEST_CASE("states that no run has are refused") {
  DivergenceGuard guard({});
  for (const DivergenceGuard::State& bad : {DivergenceGuard::State{.skips = -1},
                                            {.in_a_row = 1},
                                            {.mean_log = std::nan("")},
                                            {.mean_log = kInf}}) {
    CHECK_THROWS_WITH_AS(guard.restore(bad), Contains("the checkpoint is damaged"), Error);
  }
}

TEST_CASE("a skipped step makes no update, and consumes its batch and its number") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    Trainer trainer = trainer_of(skipping(kind)), plain = trainer_of(skipping(kind));
    for (int i = 0; i < 3; ++i) {
      trainer.step();
      plain.step();
    }
    const std::vector<Tensor> before = all_state(trainer);
    const StepReport report = broken_step(trainer);
    plain.step();
    CHECK(report.skipped);
    CHECK(report.step == 4);
    CHECK(report.skips == 1);
    CHECK(report.skips_in_a_row == 1);
    CHECK(same_weights(all_state(trainer), before));
    CHECK(trainer.average()->updates() == 3);
    CHECK(trainer.steps_done() == 4);
    CHECK(trainer.progress().train == plain.progress().train);
    CHECK(trainer.progress().doctor.steps == (kind == SpanKind::fixed ? 0 : 3));
    for (int64_t l = 0; l < trainer.config().model.layers; ++l) CHECK(remembered(trainer, l) == 0);
    const StepReport next = trainer.step();
    CHECK_FALSE(next.skipped);
    CHECK(next.skips == 1);
    CHECK(trainer.guard().state().in_a_row == 0);
    CHECK(std::isfinite(next.loss));
  }
}

TEST_CASE("Adam counts updates, and not steps that made none") {
  TrainingConfig s = skipping();
  s.schedule.learning_rate = 0.01;
  s.model.dropout = 0;
  // One block comes again and again: the first update is the same, whatever number its step has.
  const TokenStream one_block = repetitive_stream(9 * s.batch.sequences, V);
  Trainer skipped(s, V, one_block, one_block), plain(s, V, one_block, one_block);
  broken_step(skipped);
  skipped.step();
  plain.step();
  CHECK(same_weights(weights(skipped), weights(plain)));
}

TEST_CASE("a step whose gradient is too long is skipped, and keeps the memory it made") {
  TrainingConfig s = skipping();
  s.run.divergence = {.action = OnDivergence::skip, .most_skips = 300, .factor = 1.02};
  Trainer trainer = trainer_of(s);
  int64_t skips = 0;
  for (int i = 0; i < 200; ++i) {
    const std::vector<Tensor> before = all_state(trainer);
    const double most = 1.02 * trainer.guard().mean_norm();
    const bool known = trainer.guard().state().accepted >= 100;
    const StepReport report = trainer.step();
    CHECK(report.skipped == (known && report.gradient_norm > most));
    CHECK(same_weights(all_state(trainer), before) == report.skipped);
    if (report.skipped) CHECK(remembered(trainer, 0) > 0);
    skips += report.skipped;
    CHECK(report.skips == skips);
  }
  CHECK(skips > 10);
}

TEST_CASE("too many skipped in a row end the run, with the weights as they were") {
  TrainingConfig s = skipping();
  s.optimizer.kind = OptimizerKind::sgd;
  s.optimizer.grad_clip = 0;
  s.run.divergence.most_skips = 4;
  // The first stage is sound; the second one's update is so large that no later loss is finite.
  s.schedule.learning_rate = 0.1;
  s.schedule.stages = {{5, false, 1}, {20, false, 1e30}};
  Trainer trainer = trainer_of(s);
  for (int i = 0; i < 6; ++i) CHECK_FALSE(trainer.step().skipped);
  const std::vector<Tensor> before = all_state(trainer);
  for (int i = 0; i < 4; ++i) CHECK(trainer.step().skips_in_a_row == i + 1);
  CHECK_THROWS_WITH_AS(trainer.step(),
                       Contains("at step 11, after 4 skipped in a row before it; what was saved"),
                       Error);
  CHECK(same_weights(all_state(trainer), before));
  CHECK(trainer.steps_done() == 10);
}

TEST_CASE("told to stop, a gradient that is too long ends the run and says how long is too long") {
  TrainingConfig s = skipping();
  s.run.divergence = {.action = OnDivergence::stop, .factor = 1.0001};
  Trainer trainer = trainer_of(s);
  const auto train = [&] {
    for (int i = 0; i < 200; ++i) trainer.step();
  };
  CHECK_THROWS_WITH_AS(
      train(), Contains("[train] expected a gradient of at most 1.0001 times the mean"), Error);
  CHECK(trainer.steps_done() >= 100);
}

TEST_CASE("guards that make no sense are refused") {
  TrainingConfig s = skipping();
  s.run.divergence.most_skips = 0;
  CHECK_THROWS_WITH_AS(check(s), Contains("expected run.divergence.most_skips of at least 1"),
                       Error);
  s = skipping();
  for (double factor : {-1.0, 0.5, 1.0}) {
    s.run.divergence.factor = factor;
    CHECK_THROWS_WITH_AS(check(s), Contains("expected run.divergence.factor above 1, or 0"), Error);
  }
}

}  // namespace
}  // namespace adaspan
