// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

#include <adaspan/train/run/run.h>

namespace adaspan {

/// Tells how a run goes on: how it starts, then on a terminal one line that is written over,
/// elsewhere a plain line every few seconds, and between these what happens.
class ProgressLine : public RunObserver {
 public:
  explicit ProgressLine(const TrainingConfig& config);

  void started(const std::optional<Resumption>& from, const nlohmann::ordered_json& entry) override;
  void noted(const std::string& line) override;
  void already_done(int64_t step) override;
  void stepped(const StepReport& report, double tokens_per_second) override;
  void validated(const ValidationReport& report) override;
  void stopped(int64_t step) override;

 private:
  using Clock = std::chrono::steady_clock;

  /// A message of its own, above the line.
  void note(const std::string& text);

  const TrainingConfig& config_;
  bool terminal_;
  bool line_open_ = false;
  Clock::time_point shown_{};
};

}  // namespace adaspan
