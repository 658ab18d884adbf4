// SPDX-License-Identifier: MIT
// A share of a peak can be believed when both were measured at the same moments: on a machine that
// is shared, a minute later may be twice as fast. So what is compared is measured in turn, several
// times, and the best of each counts; how far the turns lie apart says what that is worth.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace adaspan {

constexpr int64_t kTurns = 5;

template <class Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of the fastest call: what takes long is called once, else until 10 ms are over, so that
/// one interruption does not decide.
template <class Work>
double fastest(const Work& work) {
  double best = std::numeric_limits<double>::infinity(), all = 0;
  while (all < 0.01) {
    const double seconds = seconds_of(work);
    best = std::min(best, seconds);
    all += seconds;
  }
  return best;
}

/// The seconds of one thing, turn after turn.
class Turns {
 public:
  void add(double seconds) {
    best_ = std::min(best_, seconds);
    worst_ = std::max(worst_, seconds);
  }
  double best() const { return best_; }
  /// How much longer the slowest turn took than the fastest, as a part of the fastest.
  double spread() const { return worst_ / best_ - 1; }

 private:
  double best_ = std::numeric_limits<double>::infinity(), worst_ = 0;
};

/// A sentence that says so when the peak, or `what` is held against it, moved by more than a tenth
/// between its turns; else null.
nlohmann::ordered_json disturbance(double peak_spread, std::string_view what, double spread);

}  // namespace adaspan
