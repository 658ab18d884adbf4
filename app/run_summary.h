// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/ops/process.h>
#include <adaspan/train/data/corpus.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// What a person should know of a run that begins: the model, its data and length, what it runs on
/// and where it is saved; a line each, aligned.
std::string run_summary(const Trainer& trainer, const Corpus& corpus, const Process& process);

/// "stage 2 of 2, step 160 of 20000", of the run's step `step`; empty where it has one stage alone.
std::string stage_text(const TrainingConfig& config, int64_t step);

/// "; in 2 stages: 150000 steps at 1, 20000 at 0.1 times the learning rate"; empty as above.
std::string stages_text(const TrainingConfig& config);

}  // namespace adaspan
