// SPDX-License-Identifier: MIT
#include "adaspan/train/run/manifest.h"

#include <nlohmann/json.hpp>

#include "adaspan/core/build.h"
#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/shallow_json.h"
#include "adaspan/models/random_sites.h"
#include "adaspan/ops/onednn.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

ordered_json without_step(ordered_json entry) {
  entry.erase("step");
  return entry;
}

bool has_object(const ordered_json& entry, const char* key) {
  return entry.contains(key) && entry[key].is_object();
}

}  // namespace

ordered_json environment() {
  const BuildInfo& build = build_info();
  return {{"version", build.version}, {"git", build.git},           {"compiler", build.compiler},
          {"flags", build.flags},     {"onednn", onednn_version()}, {"cpu", cpu_report()},
          {"isa", name(isa())},       {"threads", threads()}};
}

ordered_json manifest_entry(const Trainer& trainer) {
  ordered_json entry = {{"step", trainer.steps_done()},
                        {"configuration", to_json(trainer.config())},
                        {"random_numbering", kRandomNumbering},
                        {"environment", environment()},
                        {"data",
                         {{"text_sha256", trainer.data().text_hash},
                          {"parts_sha256", trainer.data().part_hashes},
                          {"vocabulary_sha256", trainer.data().vocabulary_hash},
                          {"vocabulary", trainer.data().vocabulary}}},
                        {"parameters", trainer.parameters()}};
  if (!trainer.data().reading.empty()) entry["data"]["reading"] = trainer.data().reading;
  if (const auto& origin = trainer.origin()) {
    entry["init_from"] = {{"path", origin->path},
                          {"sha256", origin->sha256},
                          {"optimizer_steps", origin->optimizer_steps}};
  }
  return entry;
}

Manifest read_whole_manifest(const std::filesystem::path& path) {
  const ordered_json json = shallow_json(read_text(path));
  const bool whole = json.is_object() && json.contains("starts") && json["starts"].is_array() &&
                     !json["starts"].empty() &&
                     (!json.contains("checkpoint") || json["checkpoint"].is_string()) &&
                     (!json.contains("saved") || json["saved"].is_number_integer());
  require(whole,
          "[manifest] expected the record of a run in {}; got something else; move it away if it "
          "is damaged",
          path.string());
  for (const ordered_json& entry : json["starts"]) {
    const bool sound = entry.is_object() && entry.contains("step") &&
                       entry["step"].is_number_integer() && has_object(entry, "configuration") &&
                       has_object(entry, "environment") && has_object(entry, "data");
    require(sound,
            "[manifest] expected a step, configuration, environment and data for each start in {}; "
            "got others; move it away if it is damaged",
            path.string());
  }
  Manifest manifest;
  manifest.starts = json["starts"].get<std::vector<ordered_json>>();
  manifest.tells_saves = json.contains("checkpoint");
  if (json.contains("saved")) manifest.saved = json["saved"].get<int64_t>();
  if (manifest.tells_saves) {
    manifest.checkpoint = json["checkpoint"].get<std::string>();
  } else {  // as the configuration has it, with a folder
    const ordered_json& configuration = manifest.starts.back()["configuration"];
    if (configuration.contains("checkpoint") && configuration["checkpoint"].is_string()) {
      manifest.checkpoint =
          std::filesystem::path(configuration["checkpoint"].get<std::string>()).filename().string();
    }
  }
  return manifest;
}

std::vector<ordered_json> read_manifest(const std::filesystem::path& path) {
  return read_whole_manifest(path).starts;
}

void write_manifest(const std::filesystem::path& path, const Manifest& manifest) {
  ordered_json json = {{"checkpoint", manifest.checkpoint}};
  if (manifest.saved) json["saved"] = *manifest.saved;
  json["starts"] = manifest.starts;
  make_folder_of(path);
  atomic_write(path, json.dump(1) + "\n");
}

Manifest record_start(const std::filesystem::path& path, const ordered_json& entry,
                      const std::string& checkpoint) {
  Manifest manifest;
  if (entry["step"] > 0) {
    if (std::filesystem::exists(path)) manifest = read_whole_manifest(path);
    manifest.saved = entry["step"].get<int64_t>();
  }
  manifest.checkpoint = checkpoint;
  std::vector<ordered_json>& starts = manifest.starts;
  std::erase_if(starts, [&](const ordered_json& old) { return old["step"] >= entry["step"]; });
  if (starts.empty() || without_step(starts.back()) != without_step(entry)) starts.push_back(entry);
  write_manifest(path, manifest);
  return manifest;
}

void record_save(const std::filesystem::path& path, int64_t step) {
  if (!std::filesystem::exists(path)) return;
  Manifest manifest = read_whole_manifest(path);
  if (!manifest.tells_saves || manifest.saved == step) return;
  manifest.saved = step;
  write_manifest(path, manifest);
}

}  // namespace adaspan
