// SPDX-License-Identifier: MIT
#include "app/bench/turns.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace adaspan {

nlohmann::ordered_json disturbance(double peak_spread, std::string_view what, double spread) {
  constexpr double kMuch = 0.1;
  if (peak_spread <= kMuch && spread <= kMuch) return nullptr;
  return fmt::format(
      "the machine was disturbed: between turns the peak moved by {:.0f}%, {} by {:.0f}%; run "
      "again when no other program runs",
      100 * peak_spread, what, 100 * spread);
}

}  // namespace adaspan
