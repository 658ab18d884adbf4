// SPDX-License-Identifier: MIT
// How the learning rate goes on once warm-up is over: a share of it, from 1 at the last step of
// warm-up. With u = (step - warmup) / (total - warmup), in (0, 1], and m the least share:
//   flat           1
//   cosine         m + (1 - m) (1 + cos(pi u)) / 2      (Loshchilov, Hutter 2017)
//   linear         m + (1 - m) (1 - u)
//   inverse_sqrt   sqrt(warmup / step)                  (Vaswani et al. 2017)
// Each has a file of its own.
#pragma once

#include <cstdint>

namespace adaspan {

enum class ScheduleShape { flat, cosine, inverse_sqrt, linear };

/// Where a step is on its way; steps count from 1.
struct SchedulePlace {
  int64_t step = 1;
  int64_t warmup = 0;  ///< steps of it
  int64_t total = 1;   ///< steps of the whole run
  double least = 0;    ///< m, in [0, 1]

  /// u; 1 beyond the end, as in a run that is now to be shorter than it was.
  double progress() const;
};

/// The share of the learning rate at `place`; 1 while it warms up.
double share_of(ScheduleShape shape, const SchedulePlace& place);

/// Of places beyond warm-up.
double cosine_share(const SchedulePlace& place);
double linear_share(const SchedulePlace& place);
double inverse_sqrt_share(const SchedulePlace& place);

/// Whether the least share has an effect: the shape comes down to it at the end of the run.
bool ends_at_least(ScheduleShape shape);

}  // namespace adaspan
