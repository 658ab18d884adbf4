// SPDX-License-Identifier: MIT
// The page of a run that is still training (train --report-every).
#pragma once

#include <chrono>
#include <filesystem>

#include <adaspan/train/run/run.h>

#include "app/output.h"

namespace adaspan {

/// Writes report.html in the run's folder every so many steps, of what metrics.jsonl has by then:
/// at once or not at all. Where that took more than a hundredth of the time since, it waits. A page
/// that cannot be written is a note, once, and no end of the run.
class FreshPage : public RunObserver {
 public:
  FreshPage(Output& output, std::filesystem::path folder, int64_t every);

  void stepped(const StepReport& report, double tokens_per_second) override;
  /// The last one, which does not load itself again.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void write(int refresh_s);

  Output& output_;
  std::filesystem::path folder_;
  int64_t every_;
  Clock::time_point written_ = Clock::now();  // when the last one was
  Clock::duration took_{};                    // writing it
  bool failed_ = false;
};

}  // namespace adaspan
