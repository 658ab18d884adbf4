// SPDX-License-Identifier: MIT
// How much memory a training, an evaluation or a generation will need, before it takes any: counted
// from the sizes alone. What is compared with it is in memory_check.h.
#pragma once

#include <string>
#include <vector>

#include <adaspan/models/decode/decoder.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// In bytes, at the moment when all together are most; as doubles, which sizes that no machine has
/// do not overflow.
struct MemoryNeed {
  double weights = 0, gradients = 0, optimizer = 0;  ///< of training with their average, if any
  double activations = 0;  ///< values, those saved for the backward pass, and their gradients
  double memory = 0;       ///< what the layers remember: of training, and of validation
  double workspace = 0;    ///< of ops at work
  double kept = 0;         ///< freed buffers that the pool keeps for the next step
  double process = 0;      ///< the program, its libraries and threads

  /// All but the untouched.
  double total() const;
  /// "weights 0.2 GB, activations 3.1 GB": the largest kinds, largest first
  std::string text() const;

  double untouched = 0;  ///< addresses that are mapped and never used: no memory
};

/// Of a model's weights alone.
MemoryNeed weights_need(const ModelConfig& config);

/// Of training with spans z of each layer and head, in steps, validation and checkpoints included.
/// The model's vocabulary must be known.
MemoryNeed training_need(const TrainingConfig& config, const std::vector<std::vector<float>>& z);

/// Of the loss of a stream of `tokens`, in B rows and blocks of M.
MemoryNeed evaluation_need(const ModelConfig& config, int64_t B, int64_t M, int64_t tokens,
                           const std::vector<std::vector<float>>& z);

/// Of writing after a prompt of so many tokens (models/decode/decoder.h).
MemoryNeed generation_need(const ModelConfig& config, int64_t prompt, const DecoderOptions& options,
                           const std::vector<std::vector<float>>& z);

/// "3.1 GB", "90 MB"
std::string bytes_text(double bytes);

}  // namespace adaspan
