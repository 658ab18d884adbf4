// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint_header.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/core/whole_number.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// A whole number of at most `most` things that have happened; 0 where the record has none.
int64_t count_of(const ordered_json& json, const char* key, int64_t most) {
  const int64_t count = json.contains(key) ? whole_number(json, key) : 0;
  require(count >= 0 && count <= most, "expected from 0 to {} as \"{}\"; got {}", most, key, count);
  return count;
}

ordered_json to_json(const BlockReader::Position& position) {
  return {{"column", position.column}, {"restarts", position.restarts}};
}

BlockReader::Position position_from(const ordered_json& json) {
  return {whole_number(json, "column"), whole_number(json, "restarts")};
}

ordered_json to_json(const Losses& losses) {
  ordered_json json =
      ordered_json::object();  // without what is not known yet: JSON has no infinity
  const auto known = [&](const char* name, double loss) {
    if (std::isfinite(loss)) json[name] = loss;
  };
  known("training", losses.training);
  known("validation", losses.validation);
  known("best_validation", losses.best_validation);
  if (losses.without_best > 0) json["without_best"] = losses.without_best;
  return json;
}

Losses losses_from(const ordered_json& json) {
  const Losses unknown;
  return {.training = json.value("training", unknown.training),
          .validation = json.value("validation", unknown.validation),
          .best_validation = json.value("best_validation", unknown.best_validation),
          .without_best = count_of(json, "without_best", kMostSteps)};
}

ordered_json to_json(const Origin& origin) {
  return {{"path", origin.path},
          {"sha256", origin.sha256},
          {"optimizer_steps", origin.optimizer_steps}};
}

Origin origin_from(const ordered_json& json) {
  return {.path = json.at("path").get<std::string>(),
          .sha256 = json.at("sha256").get<std::string>(),
          .optimizer_steps = whole_number(json, "optimizer_steps")};
}

ordered_json to_json(const SpanDoctor::State& doctor) {
  return {{"steps", doctor.steps},
          {"gradients", doctor.gradients},
          {"z", doctor.z},
          {"warned", doctor.warned}};
}

SpanDoctor::State doctor_from(const ordered_json& json) {
  return {.steps = whole_number(json, "steps"),
          .gradients = json.at("gradients").get<SpanGradients>(),
          .z = json.at("z").get<SpanGradients>(),
          .warned = whole_number(json, "warned")};
}

ordered_json to_json(const DivergenceGuard::State& guard) {
  return {{"skips", guard.skips},
          {"in_a_row", guard.in_a_row},
          {"accepted", guard.accepted},
          {"mean_log_gradient_norm", guard.mean_log}};
}

DivergenceGuard::State guard_from(const ordered_json& json, int64_t step) {
  return {.skips = count_of(json, "skips", step),
          .in_a_row = count_of(json, "in_a_row", step),
          .accepted = count_of(json, "accepted", kMostSteps),
          .mean_log = json.at("mean_log_gradient_norm").get<double>()};
}

/// Empty where the file knows none: made before they were kept, or imported.
std::array<std::string, 3> part_hashes_of(const SafetensorsFile& file) {
  const auto found = file.metadata().find("parts_sha256");
  if (found == file.metadata().end()) return {};
  return ordered_json::parse(found->second).get<std::array<std::string, 3>>();
}

int64_t step_of(const ordered_json& json) {
  const int64_t step = whole_number(json, "step");
  require(step >= 0 && step < kMostSteps, "expected from 0 to {} steps done; got {}", kMostSteps,
          step);
  return step;
}

/// Empty where the file tells none: made before it was kept, or imported.
std::string reading_of(const SafetensorsFile& file) {
  const auto found = file.metadata().find("reading");
  return found == file.metadata().end() ? "" : found->second;
}

std::string format_of(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  return found == file.metadata().end() ? "" : found->second;
}

/// Throws Error when a checkpoint's configuration is one that no run can have. Whether bf16 can run
/// on this machine is another question, asked of the one who would run it.
void check_recorded(TrainingConfig config) {
  config.model.precision = DType::f32;
  check(config);
}

}  // namespace

void check_format(const SafetensorsFile& file) {
  const std::string format = format_of(file);
  require(format == kCheckpointFormat || format == kOlderCheckpointFormat,
          "[checkpoint] expected a file of format \"{}\" at {}; got {}; another version of this "
          "program may have written it",
          kCheckpointFormat, file.path().string(),
          format.empty() ? "none named" : "\"" + format + "\"");
}

std::map<std::string, std::string> metadata_of(const CheckpointHeader& header) {
  const Trainer::Progress& progress = header.progress;
  ordered_json state = {{"step", progress.step},
                        {"train", to_json(progress.train)},
                        {"valid", to_json(progress.valid)},
                        {"losses", to_json(progress.losses)}};
  if (progress.doctor.steps > 0) state["span_doctor"] = to_json(progress.doctor);
  if (progress.guard.accepted + progress.guard.skips > 0) state["guard"] = to_json(progress.guard);
  if (progress.averaged > 0) state["averaged"] = progress.averaged;
  // For other readers: stages and step, which are there, tell the same.
  if (header.config.schedule.stages.size() > 1) {
    state["stage"] = header.config.stage_at(progress.step).index + 1;
  }
  std::map<std::string, std::string> metadata{
      {"format", kCheckpointFormat},
      {"settings", recorded_json(header.config).dump()},
      {"isa", header.isa},
      {"progress", state.dump()},
      {"vocabulary_size", fmt::format("{}", header.data.vocabulary)},
      {"vocabulary_sha256", header.data.vocabulary_hash},
      {"text_sha256", header.data.text_hash}};
  if (header.data.part_hashes != DataIdentity(0).part_hashes) {
    metadata["parts_sha256"] = ordered_json(header.data.part_hashes).dump();
  }
  if (!header.data.reading.empty()) metadata["reading"] = header.data.reading;
  if (progress.origin) metadata["init_from"] = to_json(*progress.origin).dump();
  return metadata;
}

CheckpointHeader read_header(const SafetensorsFile& file) {
  check_format(file);
  try {
    const ordered_json state = ordered_json::parse(file.metadata("progress"));
    const ordered_json settings = ordered_json::parse(file.metadata("settings"));
    const bool resumable = format_of(file) == kCheckpointFormat;
    CheckpointHeader header{
        .config = config_from_json(settings),
        .data = {std::stoll(file.metadata("vocabulary_size")), file.metadata("vocabulary_sha256"),
                 file.metadata("text_sha256"), part_hashes_of(file), reading_of(file)},
        .progress = {},
        .isa = resumable ? file.metadata("isa") : settings.at("isa").get<std::string>(),
        .resumable = resumable};
    header.config.model.vocabulary = header.data.vocabulary;
    check_recorded(header.config);
    header.progress.step = step_of(state);
    header.progress.train = position_from(state.at("train"));
    header.progress.valid = position_from(state.at("valid"));
    header.progress.losses = losses_from(state.at("losses"));
    if (state.contains("span_doctor")) header.progress.doctor = doctor_from(state["span_doctor"]);
    if (state.contains("guard")) {
      header.progress.guard = guard_from(state["guard"], header.progress.step);
    }
    header.progress.averaged = count_of(state, "averaged", kMostSteps);
    if (file.metadata().contains("init_from")) {
      header.progress.origin = origin_from(ordered_json::parse(file.metadata("init_from")));
    }
    return header;
  } catch (const std::exception& e) {
    fail("[checkpoint] expected a whole header; got: {}; the file is damaged", e.what());
  }
}

}  // namespace adaspan
