// SPDX-License-Identifier: MIT
// metrics.jsonl: one JSON object per line. The first is the configuration; then one for each logged
// step (every log-steps, the last before a validation, and each that was skipped) and each
// validation. All but "clock" (before 0.2.0 "chars_per_s" alone) is a function of configuration,
// data and instruction set.
#pragma once

#include <cstdio>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// The reach (adaspan/ops/span_mask.h) of the mean z over all heads and layers, and of the largest:
/// what papers and the reference state as "span", there layer by layer.
struct SpanSummary {
  double mean = 0, max = 0;
};
SpanSummary summarise_spans(const std::vector<std::vector<float>>& spans, int64_t ramp,
                            int64_t span_limit);

/// The line of the configuration, with what its losses are of: "data", the kinds of token and how
/// the text became tokens.
nlohmann::ordered_json configuration_line(const Trainer& trainer);

/// The line of a step, but for its clock; with the two gradients of spans that are learned, and the
/// number of its stage (from 1) where there are several; of a validation.
nlohmann::ordered_json step_line(const StepReport& report, const TrainingConfig& config);
nlohmann::ordered_json validation_line(const ValidationReport& report,
                                       const TrainingConfig& config);

/// Whether a validation and a checkpoint follow a step; whether the step has a line.
bool ends_round(int64_t step, const RunConfig& run);
bool is_logged(const StepReport& report, const RunConfig& run);

/// What depends on the machine and the hour: "clock" of a line.
struct RunClock {
  double seconds = 0;       ///< of the run so far, all its starts together
  double tokens_per_s = 0;  ///< of the last half minute; 0: none, of a validation
  double memory_mb = 0;     ///< resident now
};
nlohmann::ordered_json to_json(const RunClock& clock);

/// The lines of a metrics file, in order. What a crash cut short, and what is no object with a
/// step, is left out. Throws Error when the file cannot be read.
std::vector<nlohmann::ordered_json> read_metrics(const std::filesystem::path& path);

class MetricsFile {
 public:
  /// Starts a new file, or, with steps_done above 0, goes on with the old one: lines of later
  /// steps, which a stopped run had not saved, are dropped. Throws Error when it cannot be written.
  MetricsFile(const std::filesystem::path& path, int64_t steps_done);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  /// Of the last line that was there and has a clock; 0 if none has.
  double seconds_before() const { return seconds_before_; }
  /// Whether the file has no line yet.
  bool fresh() const { return fresh_; }
  /// Throws Error when the line cannot be written (a full disk).
  void write(const nlohmann::ordered_json& line);
  /// Waits until all lines are on the disk; where somebody has removed the file, in a new one of
  /// the same lines. Throws Error when they cannot be.
  void flush_to_disk();

 private:
  void open();
  void make_again();
  [[noreturn]] void fail_write() const;

  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
  bool fresh_ = true;
  double seconds_before_ = 0;
};

}  // namespace adaspan
