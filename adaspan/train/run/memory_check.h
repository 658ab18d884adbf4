// SPDX-License-Identifier: MIT
// Whether there is as much memory as will be needed (memory_need.h), asked before it is taken: a
// model too large for the machine would otherwise be ended by the system, without a word.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <adaspan/core/free_memory.h>
#include <adaspan/train/run/memory_need.h>

namespace adaspan {

/// What this process has, and may still take.
struct MemoryState {
  std::vector<FreeMemory> free = free_memory();
  int64_t resident = resident_bytes();
};

/// Of all limits the one that the need exceeds most; nothing when there is enough.
std::optional<FreeMemory> lacking(const MemoryNeed& need, const MemoryState& now);

/// z of each layer and head of the run at run.checkpoint, if there is one, else those that it
/// starts with; and those that are all at the limit.
std::vector<std::vector<float>> spans_of_run(const TrainingConfig& config);
std::vector<std::vector<float>> full_spans(const ModelConfig& config);

/// Throws OutOfMemory, with both and an advice, when `what` ("this evaluation") needs more than
/// there is.
void require_memory(const char* what, const MemoryNeed& need, const std::string& advice,
                    const MemoryState& now = {});

/// The same for a training that has spans z (of each layer and head, in steps); the model's
/// vocabulary must be known. The advice is settings that would fit; only those that a run can
/// change where it is `going_on`.
void require_training_memory(const TrainingConfig& config, const std::vector<std::vector<float>>& z,
                             bool going_on, const MemoryState& now = {});

/// For a run, at spans_of_run(). Returns one line for the user when there is enough for these, but
/// not with every span at its limit; else an empty text.
std::string require_run_memory(const TrainingConfig& config, const MemoryState& now = {});

/// The first settings of the same model that fit, of a larger batch.split, batch.recompute, a
/// memory in bf16, all activations in bf16, a smaller batch and a smaller block, in this order;
/// nothing if none do.
std::optional<TrainingConfig> settings_that_fit(const TrainingConfig& config,
                                                const std::vector<std::vector<float>>& z,
                                                bool going_on, const MemoryState& now);

/// Of the settings that take less memory and leave the model and its batch as they are, each alone:
/// batch.split (the next larger two), batch.recompute, model.cache_precision, model.precision.
std::vector<TrainingConfig> leaner_settings(const TrainingConfig& config);

/// The settings in which they differ: "batch.split 4 and batch.block 128".
std::string changes_text(const TrainingConfig& from, const TrainingConfig& to);

/// Looks whether the spans of a training grow into a limit.
class MemoryWatch {
 public:
  explicit MemoryWatch(const TrainingConfig& config) : config_(config) {}

  /// Throws OutOfMemory when a step at spans z needs more than there is, and more than any before;
  /// and when what the last steps really took is not there once more, even after buffers that are
  /// kept for later were let go: what is counted is an estimate.
  void look(const std::vector<std::vector<float>>& z, const MemoryState& now);
  void look(const std::vector<std::vector<float>>& z);

 private:
  const TrainingConfig& config_;
  double largest_ = 0;    // need so far
  int64_t reserved_ = 0;  // most that the pool had when there was enough
};

}  // namespace adaspan
