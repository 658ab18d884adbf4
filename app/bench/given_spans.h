// SPDX-License-Identifier: MIT
// Models whose spans are given rather than learned, with all the memory that belongs to them: what
// a training costs in its middle, without the training before it.
#pragma once

#include <string>
#include <vector>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// Sets z of each layer and head, in steps, where a model learns one span per head; else nothing.
void set_spans(Transformer& model, const std::vector<std::vector<float>>& spans);

/// Gives the trainer all the memory that layers of these spans keep, of normal numbers as layer
/// norms make: only with it does a step cost what the steps of a run cost.
void fill_memory(Trainer& trainer, const std::vector<std::vector<float>>& spans);

/// Writes a checkpoint at `path` of a run of these spans and its full memory, with its first
/// weights and as many steps done as fill a memory of the span limit. Throws Error as these do, and
/// when there is such a file.
void save_given_spans(const std::string& path, Trainer& trainer,
                      const std::vector<std::vector<float>>& spans);

}  // namespace adaspan
