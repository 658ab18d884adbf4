// SPDX-License-Identifier: MIT
// What a training run is told: one struct for each part that it concerns. The defaults are those of
// the paper's released program.
#pragma once

#include <cstdint>
#include <string>

#include <adaspan/models/model_config.h>
#include <adaspan/train/optim/optimizer.h>
#include <adaspan/train/run/divergence_guard.h>
#include <adaspan/train/run/schedule/schedule_shape.h>
#include <adaspan/train/run/stages.h>

namespace adaspan {

struct ScheduleConfig {
  double learning_rate = 0.03;
  int64_t warmup = 0;                         ///< steps over which the learning rate rises from 0
  Stages stages{};                            ///< that the run goes through; empty: one
  ScheduleShape shape = ScheduleShape::flat;  ///< of what comes after warm-up
  double least_share = 0;  ///< of the learning rate, at the end of a shape that comes down to it
};

struct BatchConfig {
  int64_t sequences = 64;    ///< B
  int64_t block = 256;       ///< M, tokens of each sequence per step
  int64_t split = 1;         ///< parts that a batch is worked on in, one after another; divides B
  bool exact_split = false;  ///< the same small groups of sequences whatever the split: same bits
  bool recompute = false;    ///< make layers' activations again backward, rather than keep them

  /// Parts that a batch is worked on in: `split` of them, or with exact_split as many as the
  /// largest power of two up to 8 that divides the batch.
  int64_t parts() const;
};

/// How losses are shown.
enum class DataUnit {
  bpc,  ///< bits per character, nats / ln 2
  ppl   ///< perplexity, e^nats
};
const char* name(DataUnit unit);
double in_unit(double nats, DataUnit unit);

/// Which part of the valid text a validation during a run reads.
enum class ValidationMode {
  fixed,   ///< each time the same, from empty memory: losses can be compared
  rolling  ///< what follows the last one, as the reference does
};

struct RunConfig {
  int64_t seed = 1;                ///< first number of all random streams
  int64_t steps_per_round = 1000;  ///< steps between validations and checkpoints
  int64_t rounds = 1000;
  int64_t total_steps = 0;  ///< length of the run; 0: that of its rounds
  int64_t log_steps = 10;   ///< steps between lines of metrics.jsonl
  int64_t keep_last = 2;    ///< newest checkpoints to keep
  std::string checkpoint;   ///< file to save to, and to go on from if it is there
  std::string data;         ///< where the data is, for the record; a trainer is given its tokens
  DataUnit data_unit = DataUnit::bpc;
  ValidationMode validation = ValidationMode::fixed;
  std::string init_from;        ///< checkpoint whose weights a new run begins with; empty: none
  bool init_optimizer = false;  ///< takes the optimizer's state from there, too
  DivergenceConfig divergence{};
  int64_t patience = 0;  ///< validations in a row without a new best that end the run; 0: none do

  int64_t steps() const { return total_steps > 0 ? total_steps : rounds * steps_per_round; }
};

struct TrainingConfig {
  ModelConfig model;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  BatchConfig batch;
  RunConfig run;

  /// Where step `step` (from 1) falls among the stages.
  StagePlace stage_at(int64_t step) const {
    return adaspan::stage_at(schedule.stages, run.steps_per_round, run.steps(), step);
  }
};

/// The learning rate of step `step` (from 1): lr f min(1, step / warmup) s, f the factor of its
/// stage, s the share that schedule.shape has left of it (schedule/schedule_shape.h).
double learning_rate_at(int64_t step, const TrainingConfig& config);

/// Throws Error, naming the field by its path ("batch.split"), when one is out of range or two do
/// not fit each other. The model's vocabulary, which the data decide, may still be 0.
void check(const TrainingConfig& config);

}  // namespace adaspan
