// SPDX-License-Identifier: MIT
// What a block of tokens keeps in memory, counted from the sizes alone: a walk through the layers
// as Transformer does it, with a look at what is there at each moment. In bytes, as doubles, which
// sizes that no machine has do not overflow.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/models/io_memory.h>
#include <adaspan/models/model_config.h>

namespace adaspan {

struct BlockSizes {
  int64_t B, M;  ///< sequences, and steps of each
  int64_t past;  ///< most steps that a stream has had before a block
};

/// What is there at the moment when it is most, beside weights and the memory of the blocks before.
struct BlockMemory {
  double activations = 0;  ///< values, those saved for the backward pass, and their gradients
  double gradients = 0;    ///< of the weights
  double workspace = 0;    ///< of ops at work (adaspan/ops/workspace.h)

  double others = 0;  ///< of sizes that are in use at other moments only, or change as the
                      ///< memory fills: what a pool of buffers may keep beyond that

  double total() const { return activations + gradients + workspace; }
};

/// How a block is trained with.
struct TrainingWay {
  bool gradients_kept = false;  ///< there are some before it, of another part of the batch
  bool recompute = false;       ///< layers' activations are made again: TrainingStep::recompute
};

/// z: the span of each layer and head, in steps.
///
/// Of a block that is trained with: forward and backward.
BlockMemory training_memory(const ModelConfig& config, const BlockSizes& n,
                            const std::vector<std::vector<float>>& z, const TrainingWay& way);
/// Of one that is only looked at.
BlockMemory evaluation_memory(const ModelConfig& config, const BlockSizes& n,
                              const std::vector<std::vector<float>>& z, HeadResult result);

/// What the layers' memories hold between two blocks.
double kept_memory(const ModelConfig& config, const BlockSizes& n,
                   const std::vector<std::vector<float>>& z);
/// The same as a checkpoint has it.
double joined_memory(const ModelConfig& config, const BlockSizes& n,
                     const std::vector<std::vector<float>>& z);

/// Elements of all parameters.
double parameter_count(const ModelConfig& config);

}  // namespace adaspan
