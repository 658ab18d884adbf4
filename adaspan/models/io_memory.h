// SPDX-License-Identifier: MIT
// What the input embedding and the output head keep in memory: their part of block_memory.h.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/models/model_config.h>

namespace adaspan {

/// Elements of the parameters that get a gradient from the output head, those shared with the input
/// among them; and of those that get one from the input alone.
double output_weights(const ModelConfig& config);
double input_weights(const ModelConfig& config);

/// In bytes, at one moment of the head's work, beside what the layers keep.
struct HeadMoment {
  double activations, workspace;
};
enum class HeadResult { none, loss, token_losses };

struct HeadMemory {
  std::vector<HeadMoment> forward, backward;
  double others;  ///< of sizes that nothing else has
};

/// Of so many rows (tokens). How many of them are of rare clusters is not known: the most.
HeadMemory head_training_memory(const ModelConfig& config, int64_t rows);
/// `result`: what is asked of the head.
HeadMemory head_evaluation_memory(const ModelConfig& config, int64_t rows, HeadResult result);

/// What an adaptive embedding saves, and the moment of its backward pass.
double saved_by_input(const ModelConfig& config, int64_t rows);
HeadMoment input_backward_memory(const ModelConfig& config, int64_t rows);

}  // namespace adaspan
