// SPDX-License-Identifier: MIT
// What a training will take, told before it begins: memory, time, and settings that make it fit.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/train/run/memory_check.h>

#include "app/bench/step_time.h"
#include "app/token_cost.h"

namespace adaspan {

/// The same training with some settings changed.
struct Way {
  std::string settings;  ///< "as given", or the flags: "--batch-split 4 --recompute"
  MemoryNeed need, at_full_spans;
  std::optional<FreeMemory> lacking;  ///< the limit that it does not fit into
};

struct Plan {
  TrainingConfig config;
  std::vector<std::vector<float>> z;  ///< of each layer and head, in steps
  TokenCost cost;
  double parameters = 0;
  double checkpoint_bytes = 0;  ///< of one
  MemoryState memory;           ///< what there is
  std::vector<Way> ways;        ///< the first: as given
  std::optional<StepTime> step;
  int64_t validation_blocks = 0;  ///< of each validation, at a third of a step

  /// Of `steps` steps, with the validations that fall among them.
  double seconds_of(int64_t steps) const;
};

/// Of a configuration whose vocabulary is known, at spans z. `valid_tokens`: those of the part that
/// validations read, or 0 where they are not known. With `measure` it takes the time of steps.
Plan plan_of(const TrainingConfig& config, const std::vector<std::vector<float>>& z,
             int64_t valid_tokens, const MemoryState& now, bool measure);

nlohmann::ordered_json json_of(const Plan& plan);
std::string text_of(const Plan& plan);

}  // namespace adaspan
