// SPDX-License-Identifier: MIT
#include "app/bench/step_time.h"

#include <algorithm>

#include "adaspan/core/buffer_pool.h"
#include "app/bench/steady_training.h"
#include "app/bench/turns.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

constexpr double kLongestStep = 5;     // seconds that a timed step may take
constexpr int64_t kFewestRows = 1024;  // of a matrix product that is about as fast as a large one
constexpr int kTimedSteps = 3;

/// The same, of so many sequences at once.
TrainingConfig with_sequences(TrainingConfig config, int64_t sequences) {
  config.batch.sequences = sequences;
  config.batch.split = 1;
  config.batch.exact_split = false;
  return config;
}

/// The fastest of some steps, but for the first, whose buffers are new.
double timed(const TrainingConfig& config, const Spans& z) {
  SteadyTraining training(config, z, kTimedSteps + 1);
  training.step();
  Turns turns;
  for (int i = 0; i < kTimedSteps; ++i) turns.add(seconds_of([&] { training.step(); }));
  release_kept_buffers();
  return turns.best();
}

}  // namespace

std::optional<StepTime> step_time(const TrainingConfig& config, const Spans& z,
                                  const MemoryState& now) {
  const int64_t B = config.batch.sequences, part = B / config.batch.parts();
  const int64_t few = std::min(part, (kFewestRows - 1) / config.batch.block + 1);
  const auto fits = [&](const TrainingConfig& c) { return !lacking(training_need(c, z), now); };
  if (!fits(with_sequences(config, few))) return std::nullopt;

  const double of_few = timed(with_sequences(config, few), z);
  const double of_one = of_few / static_cast<double>(few);
  if (of_one * static_cast<double>(B) < kLongestStep && fits(config)) {
    return StepTime{timed(config, z), B};
  }
  const int64_t more =
      std::min(part, std::max(2 * few, static_cast<int64_t>(kLongestStep / of_one)));
  if (more == few || !fits(with_sequences(config, more))) {
    return StepTime{of_one * static_cast<double>(B), few};
  }
  const double of_more = timed(with_sequences(config, more), z);
  const double share = std::max(0.0, of_more - of_few) / static_cast<double>(more - few);
  return StepTime{of_more + share * static_cast<double>(B - more), more};
}

}  // namespace adaspan
