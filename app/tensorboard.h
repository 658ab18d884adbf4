// SPDX-License-Identifier: MIT
// A run's numbers as event files, for TensorBoard: losses, learning rate, gradient norm, spans and
// speed as scalars, and the spans of each layer's heads as histograms, at the steps that
// metrics.jsonl has. Each start of the run writes a file of its own. When a run goes on from a
// checkpoint, later steps than that go from the files that are there: no step is in them twice.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include <adaspan/train/run/run.h>

#include "app/event_file.h"
#include "app/output.h"

namespace adaspan {

class TensorBoardLog : public RunObserver {
 public:
  /// Of a run of `config`, in `folder`. Throws Error when that cannot be a folder that is written
  /// to, or has event files of something else; changes nothing. The configuration must outlive it.
  TensorBoardLog(Output& output, std::filesystem::path folder, const TrainingConfig& config);
  ~TensorBoardLog() override;
  TensorBoardLog(const TensorBoardLog&) = delete;
  TensorBoardLog& operator=(const TensorBoardLog&) = delete;

  /// Throws Error when the files cannot be written.
  void started(const std::optional<Resumption>& from, const nlohmann::ordered_json& entry) override;
  /// What cannot be written any more is noted, once, and left out: the run goes on.
  void stepped(const StepReport& report, double tokens_per_second) override;
  void validated(const ValidationReport& report) override;

 private:
  std::string own_ending() const;
  void check_folder() const;
  void drop_steps_after(int64_t step) const;
  void open(int64_t step);
  void write(const std::string& record);

  Output& output_;
  const std::filesystem::path folder_;
  const TrainingConfig& config_;
  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace adaspan
