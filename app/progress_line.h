// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

#include <adaspan/train/run/metrics.h>

namespace adaspan {

/// Shows where a run is: on a terminal one line that is written over, elsewhere a plain line every
/// few seconds.
class ProgressLine {
 public:
  ProgressLine(const Settings& settings, int64_t steps_done, int64_t steps_total);

  void show(const StepReport& report);
  /// A message of its own, above the line.
  void note(const std::string& text);
  /// Tokens a second since the run began.
  double tokens_per_second(int64_t step) const;

 private:
  using Clock = std::chrono::steady_clock;

  const Settings& settings_;
  int64_t first_step_, steps_total_;
  bool terminal_;
  bool line_open_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_{};
};

}  // namespace adaspan
