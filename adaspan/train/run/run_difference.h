// SPDX-License-Identifier: MIT
// Whether two runs are the same run: from their metrics and manifests, or by training again.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/core/cpu.h>

namespace adaspan {

/// What two records of one thing do not share.
struct Difference {
  std::string name;  ///< "loss", "configuration.lr", "environment.isa"
  std::string a, b;  ///< as JSON; "none" where there is none
};

/// All members that differ, those of objects within by "outer.inner".
std::vector<Difference> differences(const nlohmann::ordered_json& a,
                                    const nlohmann::ordered_json& b);

/// Of two runs.
struct RunDifference {
  int64_t steps_compared = 0;       ///< lines of metrics that both have
  int64_t first_step = 0;           ///< of the first of them that differ; 0 if none does
  std::vector<Difference> numbers;  ///< of that line: losses, gradient norm, spans; or tensors
  /// Of reproduce(): the step after which the run went on with other settings, where that ended the
  /// repetition before the steps asked for; else 0.
  int64_t settings_changed = 0;
  /// How the two read their texts, if in two ways, as far as their records tell: their losses are
  /// then of different tokens, and not comparable.
  std::optional<Difference> reading;
  std::vector<Difference> settings;  ///< of the manifest's entries in force then: whatever differs
};

/// Compares the runs in two folders, each with metrics.jsonl and manifest.json, and where their
/// newest checkpoints are of one step these, tensor by tensor, bit for bit. Speed is no difference.
/// Throws Error when a record is missing or damaged.
RunDifference compare_runs(const std::filesystem::path& a, const std::filesystem::path& b);

/// The level of instructions that the run in `folder` began at. Throws Error when the record is
/// missing or damaged.
Isa recorded_isa(const std::filesystem::path& folder);

/// Trains the first `steps` steps of the run in `folder` again, on the corpus at `data` (if empty:
/// the run's own), without writing anything, and compares with what it recorded; `b` of a
/// difference is the number found now. Throws Error when the record is missing, damaged or has no
/// line of these steps, or the run cannot be repeated so: with other data, while the process is at
/// another level than recorded_isa(folder), or without the checkpoint whose weights it began with.
RunDifference reproduce(const std::filesystem::path& folder, const std::string& data,
                        int64_t steps);

}  // namespace adaspan
