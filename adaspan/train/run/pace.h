// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

namespace adaspan {

/// How fast a run is: over the last half minute, for a machine's other work comes and goes.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kWindow{30};

  Pace(int64_t step, Clock::time_point now) : marks_{{step, now}} {}

  /// Steps per second until `now`, when `step` is done.
  double at(int64_t step, Clock::time_point now) {
    // The first mark that stays is the last one before the window.
    while (marks_.size() > 1 && marks_[1].time <= now - kWindow) marks_.pop_front();
    const std::chrono::duration<double> time = now - marks_.front().time;
    const int64_t steps = step - marks_.front().step;
    // A few marks a second tell enough.
    if (now - marks_.back().time >= std::chrono::milliseconds(200)) marks_.push_back({step, now});
    return static_cast<double>(steps) / std::max(1e-9, time.count());
  }

 private:
  struct Mark {
    int64_t step;
    Clock::time_point time;
  };
  std::deque<Mark> marks_;  // the earliest first
};

}  // namespace adaspan
