// SPDX-License-Identifier: MIT
#include "adaspan/train/run/schedule/schedule_shape.h"

#include <algorithm>

namespace adaspan {

double SchedulePlace::progress() const {
  if (step >= total) return 1;
  return std::max(0.0, static_cast<double>(step - warmup) / static_cast<double>(total - warmup));
}

double share_of(ScheduleShape shape, const SchedulePlace& place) {
  if (place.step <= place.warmup) return 1;
  switch (shape) {
    case ScheduleShape::cosine:
      return cosine_share(place);
    case ScheduleShape::linear:
      return linear_share(place);
    case ScheduleShape::inverse_sqrt:
      return inverse_sqrt_share(place);
    case ScheduleShape::flat:
      break;
  }
  return 1;
}

bool ends_at_least(ScheduleShape shape) {
  return shape == ScheduleShape::cosine || shape == ScheduleShape::linear;
}

}  // namespace adaspan
