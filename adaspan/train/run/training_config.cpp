// SPDX-License-Identifier: MIT
#include "adaspan/train/run/training_config.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

constexpr int64_t kLargest = 1 << 30;  // products of two such numbers still fit 64 bits

template <class T>
void at_least(const char* path, T value, T least) {
  require(value >= least, "[settings] expected {} of at least {}; got {}", path, least, value);
}

void check_schedule(const ScheduleConfig& c) {
  at_least<int64_t>("schedule.warmup", c.warmup, 0);
  at_least("schedule.learning_rate", c.learning_rate, 0.0);
  require(
      c.shape != ScheduleShape::inverse_sqrt || c.warmup >= 1,
      "[settings] expected schedule.warmup of at least 1 with schedule.shape inverse-sqrt, which "
      "falls as sqrt(warm-up / step); got {}",
      c.warmup);
  require(c.least_share >= 0 && c.least_share <= 1,
          "[settings] expected schedule.least_share from 0 to 1; got {}", c.least_share);
  require(
      c.least_share == 0 || ends_at_least(c.shape),
      "[settings] expected schedule.least_share with schedule.shape cosine or linear, which end "
      "there; got {} with another",
      c.least_share);
}

void check_safety(const TrainingConfig& c) {
  const DivergenceConfig& divergence = c.run.divergence;
  at_least<int64_t>("run.divergence.most_skips", divergence.most_skips, 1);
  require(divergence.factor == 0 || divergence.factor > 1,
          "[settings] expected run.divergence.factor above 1, or 0 for none; got {}",
          divergence.factor);
  require(c.optimizer.average >= 0 && c.optimizer.average < 1,
          "[settings] expected optimizer.average from 0 (none) to below 1; got {}",
          c.optimizer.average);
  at_least<int64_t>("run.patience", c.run.patience, 0);
}

}  // namespace

int64_t BatchConfig::parts() const {
  if (!exact_split) return split;
  int64_t parts = 8;
  while (sequences % parts != 0) parts /= 2;
  return parts;
}

const char* name(DataUnit unit) {
  return unit == DataUnit::ppl ? "ppl" : "bpc";
}

double in_unit(double nats, DataUnit unit) {
  return unit == DataUnit::ppl ? std::exp(nats) : nats / std::log(2.0);
}

double learning_rate_at(int64_t step, const TrainingConfig& c) {
  const ScheduleConfig& schedule = c.schedule;
  const double share = share_of(schedule.shape, {.step = step,
                                                 .warmup = schedule.warmup,
                                                 .total = c.run.steps(),
                                                 .least = schedule.least_share});
  return share * learning_rate_at(step, schedule.learning_rate * c.stage_at(step).lr_factor,
                                  schedule.warmup);
}

void check(const TrainingConfig& c) {
  check_recordable(c);
  for_each_field(c, [&](const Field& field, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const int64_t&>) {
      require(value <= kLargest || &value == &c.run.seed,
              "[settings] expected {} of at most {}; got {}", field.path, kLargest, value);
    }
  });
  const std::vector<int64_t>& cutoffs = c.model.adaptive_io.cutoffs;
  for (int64_t cutoff : cutoffs) {
    require(cutoff <= kLargest,
            "[settings] expected numbers of at most {} in model.adaptive_io.cutoffs; got {}",
            kLargest, cutoff);
  }
  ModelConfig model = c.model;
  if (model.vocabulary < 1) {  // not known yet: one that fits
    const bool clusters = model.adaptive_io.on && !cutoffs.empty();
    model.vocabulary = clusters ? std::max<int64_t>(1, std::ranges::max(cutoffs) + 1) : 1;
  }
  check(model);
  at_least<int64_t>("batch.sequences", c.batch.sequences, 1);
  at_least<int64_t>("batch.split", c.batch.split, 1);
  at_least<int64_t>("batch.block", c.batch.block, 1);
  at_least<int64_t>("run.steps_per_round", c.run.steps_per_round, 1);
  at_least<int64_t>("run.rounds", c.run.rounds, 1);
  at_least<int64_t>("run.total_steps", c.run.total_steps, 0);
  require(c.run.steps() < kMostSteps,
          "[settings] expected run.rounds times run.steps_per_round below {}; got {}", kMostSteps,
          c.run.steps());
  check(c.schedule.stages, c.run.steps_per_round);
  require(!c.run.init_optimizer || !c.run.init_from.empty(),
          "[settings] expected run.init_from, whose optimizer run.init_optimizer takes; got none");
  at_least<int64_t>("run.log_steps", c.run.log_steps, 1);
  at_least<int64_t>("run.keep_last", c.run.keep_last, 1);
  at_least<int64_t>("run.seed", c.run.seed, 0);
  check_schedule(c.schedule);
  check_safety(c);
  at_least("optimizer.momentum", c.optimizer.momentum, 0.0);
  at_least("optimizer.grad_clip", c.optimizer.grad_clip, 0.0);
  require(c.batch.sequences % c.batch.split == 0,
          "[settings] expected batch.split to divide batch.sequences; got {} parts of {}",
          c.batch.split, c.batch.sequences);
  require(c.batch.parts() % c.batch.split == 0,
          "[settings] expected batch.split to divide {}, the parts of batch.exact_split at "
          "batch.sequences {}; got {}",
          c.batch.parts(), c.batch.sequences, c.batch.split);
}

}  // namespace adaspan
