// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

#include <adaspan/train/run/run.h>

#include "app/output.h"

namespace adaspan {

/// Tells how a run goes on: how it starts, then how far it is, and between these what happens.
class ProgressLine : public RunObserver {
 public:
  /// `summary` is what to say of the run once it has begun.
  ProgressLine(Output& output, const TrainingConfig& config, std::string summary);
  ~ProgressLine() override { output_.end_progress(); }

  void started(const std::optional<Resumption>& from, const nlohmann::ordered_json& entry) override;
  void noted(const std::string& line) override;
  void already_done(int64_t step) override;
  void stepped(const StepReport& report, double tokens_per_second) override;
  void validated(const ValidationReport& report) override;
  void stopped(int64_t step) override;
  void ended_early(int64_t step) override;

 private:
  std::string patience_text() const;

  using Clock = std::chrono::steady_clock;

  /// Once the first steps have shown it: how long the whole run takes.
  void tell_time_expected(int64_t steps_left, double seconds_left);

  /// At the first step, and where a stage begins.
  void tell_stage(const StepReport& report);

  Output& output_;
  const TrainingConfig& config_;
  std::string summary_;
  Clock::time_point start_ = Clock::now();
  bool time_told_ = false;
  int64_t stage_ = -1;  // of the last step
};

}  // namespace adaspan
