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

/// Throws OutOfMemory, with both and an advice, when `what` ("this evaluation") needs more than
/// there is.
void require_memory(const char* what, const MemoryNeed& need, const std::string& advice,
                    const MemoryState& now = {});

/// The same for a training that has spans z (of each layer and head, in steps); the model's
/// vocabulary must be known. The advice is settings that would fit; only those that a run can
/// change where it is `going_on`.
void require_training_memory(const TrainingConfig& config, const std::vector<std::vector<float>>& z,
                             bool going_on, const MemoryState& now = {});

/// For a run: at the spans of the checkpoint at run.checkpoint, if there is one, else those that it
/// starts with. Returns one line for the user when there is enough for these, but not with every
/// span at its limit; else an empty text.
std::string require_run_memory(const TrainingConfig& config, const MemoryState& now = {});

/// The first settings of the same model that fit, of a larger batch.split, a smaller batch, bf16
/// and a smaller block, in this order; nothing if none do.
std::optional<TrainingConfig> settings_that_fit(const TrainingConfig& config,
                                                const std::vector<std::vector<float>>& z,
                                                bool going_on, const MemoryState& now);

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
