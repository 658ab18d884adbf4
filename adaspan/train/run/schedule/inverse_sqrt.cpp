// SPDX-License-Identifier: MIT
#include <cmath>

#include "adaspan/train/run/schedule/schedule_shape.h"

namespace adaspan {

double inverse_sqrt_share(const SchedulePlace& place) {
  return std::sqrt(static_cast<double>(place.warmup) / static_cast<double>(place.step));
}

}  // namespace adaspan
