// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <adaspan/train/run/run.h>

namespace adaspan {

/// Tells each of several what happens in a run, in their order.
class SeveralObservers : public RunObserver {
 public:
  void add(RunObserver& one) { all_.push_back(&one); }

  void started(const std::optional<Resumption>& from,
               const nlohmann::ordered_json& entry) override {
    for (RunObserver* one : all_) one->started(from, entry);
  }
  void noted(const std::string& line) override {
    for (RunObserver* one : all_) one->noted(line);
  }
  void already_done(int64_t step) override {
    for (RunObserver* one : all_) one->already_done(step);
  }
  void stepped(const StepReport& report, double tokens_per_second) override {
    for (RunObserver* one : all_) one->stepped(report, tokens_per_second);
  }
  void validated(const ValidationReport& report) override {
    for (RunObserver* one : all_) one->validated(report);
  }
  void saved(const std::filesystem::path& path, int64_t step) override {
    for (RunObserver* one : all_) one->saved(path, step);
  }
  void stopped(int64_t step) override {
    for (RunObserver* one : all_) one->stopped(step);
  }
  void ended_early(int64_t step) override {
    for (RunObserver* one : all_) one->ended_early(step);
  }

 private:
  std::vector<RunObserver*> all_;
};

}  // namespace adaspan
