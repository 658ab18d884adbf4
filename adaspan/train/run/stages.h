// SPDX-License-Identifier: MIT
// A run in stages, one after another: the learning rate of each is a share of schedule's, as where
// a long training ends with fine-tuning at a tenth of it. All else goes on: the optimizer's sums,
// the place in the text, the layers' memory, the count of updates that warm-up goes by.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace adaspan {

/// Steps of a run are below this: dropout's keys have 32 bits for them.
inline constexpr int64_t kMostSteps = std::numeric_limits<uint32_t>::max();

struct Stage {
  int64_t length = 1;      ///< in steps, or in rounds
  bool in_rounds = false;  ///< of run.steps_per_round steps
  double lr_factor = 1;    ///< of the schedule's learning rate

  int64_t steps(int64_t steps_per_round) const {
    return in_rounds ? length * steps_per_round : length;
  }
  bool operator==(const Stage&) const = default;
};

/// In turn; none where a run has but one.
using Stages = std::vector<Stage>;

/// How stages are written down: "150000@1,20000@0.1" is 150000 steps at the learning rate, then
/// 20000 at a tenth of it; a length with an r, "150r@1", is in rounds. Empty for none.
std::string text_of(const Stages& stages);
/// From such a text, where "@1" may be left out; nothing where it is another, a length is below 1
/// or a factor is not above 0.
std::optional<Stages> stages_from(std::string_view text);

/// Throws Error when a length is below 1, a factor not above 0, or all steps are too many.
void check(const Stages& stages, int64_t steps_per_round);

/// Steps of all of them.
int64_t total_steps(const Stages& stages, int64_t steps_per_round);

/// Where a step falls.
struct StagePlace {
  int64_t index = 0;     ///< of the stage, from 0
  int64_t step = 0;      ///< within it, from 1
  int64_t steps = 0;     ///< of the stage, in a run of `run_steps`
  double lr_factor = 1;  ///< of the stage
};
/// Of step `step` (from 1; 0: none yet) in a run of `run_steps`, which may end before the stages
/// do, or go on in the last one; a step beyond its end, of a run that is now to be shorter, ends
/// it.
StagePlace stage_at(const Stages& stages, int64_t steps_per_round, int64_t run_steps, int64_t step);

}  // namespace adaspan
