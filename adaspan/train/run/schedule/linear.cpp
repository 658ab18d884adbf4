// SPDX-License-Identifier: MIT
#include "adaspan/train/run/schedule/schedule_shape.h"

namespace adaspan {

double linear_share(const SchedulePlace& place) {
  return place.least + (1 - place.least) * (1 - place.progress());
}

}  // namespace adaspan
