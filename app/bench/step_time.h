// SPDX-License-Identifier: MIT
// How long a training step will take here, found in less time than some such steps.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <adaspan/train/run/memory_check.h>

namespace adaspan {

struct StepTime {
  double seconds = 0;
  /// How many sequences the timed steps had: the batch's, or fewer. Then two numbers of them were
  /// timed, n and less, and the rest follows: what a step takes is a constant (the update of the
  /// weights) and a share for each sequence.
  int64_t sequences = 0;
};

/// Times some steps of `config`, whose vocabulary is known, with a full memory and spans z (of each
/// layer and head; of spans that are not adaptive, those that the model makes). Nothing when not
/// even a small part of a batch fits into the memory there is.
std::optional<StepTime> step_time(const TrainingConfig& config,
                                  const std::vector<std::vector<float>>& z, const MemoryState& now);

}  // namespace adaspan
