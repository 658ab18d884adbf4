// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>

#include "adaspan/train/run/schedule/schedule_shape.h"

namespace adaspan {

double cosine_share(const SchedulePlace& place) {
  return place.least + (1 - place.least) * (1 + std::cos(std::numbers::pi * place.progress())) / 2;
}

}  // namespace adaspan
