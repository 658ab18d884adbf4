// SPDX-License-Identifier: MIT
// Training steps as they are in the middle of a run, without the run: the layers' memory is full,
// and the spans are where a pattern puts them. Only such steps cost what those of a run cost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// z of each layer and head, in steps: "initial" (0), "full" (S), "trained" (20, but 0.6 S (614 of
/// 1024) for head 0 of the upper half of the layers), or a JSON file with a list of lists. Throws
/// Error for anything else, or when the file does not fit the model.
std::vector<std::vector<float>> span_pattern(const std::string& name, const ModelConfig& config);

class SteadyTraining {
 public:
  /// For up to `steps` steps on random tokens (with adaptive input and output as frequent as words
  /// are). Adaptive spans are set to `spans` before each; other kinds are what the model makes
  /// them. The model's vocabulary must be known.
  SteadyTraining(const TrainingConfig& config, std::vector<std::vector<float>> spans,
                 int64_t steps);

  void step();

 private:
  SteadyTraining(const TrainingConfig& config, std::vector<std::vector<float>> spans,
                 const TokenStream& tokens);

  std::vector<std::vector<float>> spans_;
  Trainer trainer_;
};

}  // namespace adaspan
