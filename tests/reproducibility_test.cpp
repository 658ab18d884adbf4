// SPDX-License-Identifier: MIT
// A run's checkpoint is a function of configuration, seed and data: not of threads, stops, or (with
// exact-split) of the parts that a batch is worked on in.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/parallel.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

/// A run with dropout, in stages, of enough rows that loops are cut into several chunks; its text
/// is gone through more than once.
TrainingConfig config_of(SpanKind kind, DType precision) {
  TrainingConfig s = tiny_config(kind);
  s.model.precision = precision;
  s.model.dropout = 0.2f;
  s.model.embedding_dropout = 0.1f;
  s.batch.block = 40;
  s.batch.sequences = 8;
  s.run.steps_per_round = 3;
  s.schedule.warmup = 5;
  s.schedule.stages = {{2, false, 1}, {2, true, 0.5}, {9, false, 0.1}};
  return s;
}

class Runs {
 public:
  /// The bytes of the checkpoint after so many steps of these settings, with a validation after
  /// each nbatches steps.
  std::string checkpoint(const TrainingConfig& s, int64_t steps) const {
    Trainer trainer = place_.trainer(s);
    train(trainer, steps);
    return saved(trainer);
  }
  /// The same, stopped and resumed with other settings on the way.
  std::string resumed(const TrainingConfig& first, int64_t stop, const TrainingConfig& then,
                      int64_t steps) const {
    Trainer trainer = place_.trainer(first), other = place_.trainer(then);
    train(trainer, stop);
    save_checkpoint(place_.path, trainer);
    load_checkpoint(place_.path, other);
    train(other, steps);
    return saved(other);
  }

 private:
  static void train(Trainer& trainer, int64_t steps) {
    while (trainer.steps_done() < steps) {
      trainer.step();
      if (trainer.steps_done() % trainer.config().run.steps_per_round == 0) trainer.validate();
    }
  }
  std::string saved(Trainer& trainer) const {
    save_checkpoint(place_.path, trainer);
    return read_text(place_.path);
  }

  RunPlace place_{letters(1) + letters(2) + letters(3)};
};

std::vector<DType> precisions() {
  if (bf16_obstacle().empty()) return {DType::f32, DType::bf16};
  return {DType::f32};
}

template <class Body>
void for_each_kind_of_run(const Body& body) {
  for (DType precision : precisions()) {
    for (SpanKind kind : kSpanKinds) {
      CAPTURE(name(precision));
      CAPTURE(static_cast<int>(kind));
      TrainingConfig config = config_of(kind, precision);
      body(config);
      config.model.persistent = 10;
      body(config);
    }
    for (bool tied : {false, true}) {
      CAPTURE(tied);
      TrainingConfig s = config_of(SpanKind::adaptive, precision);
      s.model.adaptive_io = {.on = true, .tied = tied, .divval = 2, .cutoffs = {3, 5}};
      s.optimizer.kind = OptimizerKind::adam;
      body(s);
    }
  }
}

TEST_CASE("1, 2, 3 and 4 threads give checkpoints that are the same to the byte") {
  const Runs runs;
  for_each_kind_of_run([&](TrainingConfig s) {
    s.batch.split = 2;
    const std::string one = runs.checkpoint(s, 7);
    for (int count : {2, 3, 4}) {
      CAPTURE(count);
      set_threads(count);
      CHECK(runs.checkpoint(s, 7) == one);
      set_threads(1);
    }
    s.run.seed = 2;
    CHECK(runs.checkpoint(s, 7) != one);
  });
}

TEST_CASE("a run that was stopped at any step ends as one that was not") {
  const Runs runs;
  for_each_kind_of_run([&](const TrainingConfig& s) {
    const std::string whole = runs.checkpoint(s, 12);
    for (int64_t stop : {0, 1, 3, 6, 11, 12}) {
      CAPTURE(stop);
      CHECK(runs.resumed(s, stop, s, 12) == whole);
    }
  });
}

TEST_CASE("with exact-split the parts of a batch change nothing, on resumption either") {
  const Runs runs;
  for_each_kind_of_run([&](TrainingConfig s) {
    s.batch.exact_split = true;
    TrainingConfig split = s;
    const std::string whole = runs.checkpoint(s, 7);
    for (int64_t parts : {2, 4, 8}) {
      CAPTURE(parts);
      split.batch.split = parts;
      CHECK(runs.checkpoint(split, 7) == whole);
    }
    split.batch.split = 4;
    CHECK(runs.resumed(split, 4, s, 7) == whole);
    CHECK(runs.resumed(s, 4, split, 7) == whole);
  });
}

}  // namespace
}  // namespace adaspan
