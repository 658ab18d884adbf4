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
  return {{"step", trainer.steps_done()},
          {"configuration", to_json(trainer.config())},
          {"random_numbering", kRandomNumbering},
          {"environment", environment()},
          {"data",
           {{"text_sha256", trainer.data().text_hash},
            {"vocabulary_sha256", trainer.data().vocabulary_hash},
            {"vocabulary", trainer.data().vocabulary}}},
          {"parameters", trainer.parameters()}};
}

std::vector<ordered_json> read_manifest(const std::filesystem::path& path) {
  const ordered_json json = shallow_json(read_text(path));
  const bool whole = json.is_object() && json.contains("starts") && json["starts"].is_array() &&
                     !json["starts"].empty();
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
  return json["starts"].get<std::vector<ordered_json>>();
}

void record_start(const std::filesystem::path& path, const ordered_json& entry) {
  std::vector<ordered_json> starts;
  if (entry["step"] > 0 && std::filesystem::exists(path)) starts = read_manifest(path);
  std::erase_if(starts, [&](const ordered_json& old) { return old["step"] >= entry["step"]; });
  if (starts.empty() || without_step(starts.back()) != without_step(entry)) starts.push_back(entry);
  atomic_write(path, ordered_json{{"starts", starts}}.dump(1) + "\n");
}

}  // namespace adaspan
