// SPDX-License-Identifier: MIT
// What is known of a run from the records in its folder alone, without its model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include <adaspan/train/run/training_config.h>

namespace adaspan {

inline constexpr double kNotRecorded = std::numeric_limits<double>::quiet_NaN();

/// A line of a step; what it lacks, as those of older versions do, is kNotRecorded.
struct LoggedStep {
  int64_t step = 0;
  double loss = kNotRecorded;  ///< nats
  double learning_rate = kNotRecorded;
  double gradient_norm = kNotRecorded;
  double clipped = kNotRecorded;  ///< share of the tensors whose gradients were clipped
  double span_mean = kNotRecorded, span_max = kNotRecorded;  ///< reaches, in tokens
  double tokens_per_s = kNotRecorded;
  double seconds = kNotRecorded;  ///< of training so far
  double memory_mb = kNotRecorded;
  std::vector<std::vector<float>> spans{};  ///< z of each layer and head; see read_run
};

/// A line of a validation.
struct LoggedValidation {
  int64_t step = 0;
  double loss = kNotRecorded;  ///< nats
  bool best = false;
  double seconds = kNotRecorded;
};

struct RunRecord {
  std::filesystem::path folder;
  std::string name;                             ///< the folder's
  TrainingConfig configuration;                 ///< the last one of its records
  std::vector<nlohmann::ordered_json> entries;  ///< of the manifest; none if there is none
  std::vector<LoggedStep> steps;
  std::vector<LoggedValidation> validations;
};

/// Reads metrics.jsonl, and manifest.json if it is there. Spans are read of at most 200 lines,
/// evenly spread, with the last; the others have none. Lines that a crash cut short are left out.
/// Throws Error when there are no metrics, or their first line is no configuration.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace adaspan
