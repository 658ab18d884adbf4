// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run_difference.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/core/sha256.h"
#include "adaspan/models/random_sites.h"
#include "adaspan/train/data/corpus.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/init_from.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/metrics.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// The lines of numbers, by step; a validation comes after the step's own line.
using Lines = std::map<std::pair<int64_t, bool>, ordered_json>;

void add_line(Lines& lines, ordered_json line) {
  if (line.contains("configuration")) return;
  for (const char* key : {"clock", "chars_per_s"}) line.erase(key);
  const std::pair key{line["step"].get<int64_t>(), line.contains("valid_loss")};
  lines[key] = std::move(line);
}

struct RunRecord {
  Lines lines;
  std::vector<ordered_json> starts;
};

RunRecord read_run(const std::filesystem::path& folder) {
  RunRecord record;
  record.starts = read_manifest(folder / "manifest.json");
  for (ordered_json& line : read_metrics(folder / "metrics.jsonl")) {
    add_line(record.lines, std::move(line));
  }
  return record;
}

/// The entry that tells how `step` was made.
ordered_json entry_of(const RunRecord& run, int64_t step) {
  ordered_json entry = run.starts[0];
  for (const ordered_json& start : run.starts) {
    if (start["step"] < step) entry = start;
  }
  entry.erase("step");
  entry["configuration"].erase("checkpoint");
  return entry;
}

std::string text_of(const ordered_json& json, const std::string& key) {
  return json.contains(key) ? json[key].dump() : "none";
}

/// "enwik8, newlines dropped (V 204)"; of older records "V 204" alone.
std::string reading_of(const ordered_json& entry, bool with_text) {
  const ordered_json& data = entry["data"];
  const std::string V = "V " + text_of(data, "vocabulary");
  if (!with_text) return V;
  const ordered_json& reading = data["reading"];
  return fmt::format("{} ({})", reading.is_string() ? reading.get<std::string>() : reading.dump(),
                     V);
}

std::optional<Difference> reading_difference(const ordered_json& a, const ordered_json& b) {
  const bool both = a["data"].contains("reading") && b["data"].contains("reading");
  Difference found{"data.reading", reading_of(a, both), reading_of(b, both)};
  if (found.a == found.b) return {};
  return found;
}

/// Leaves out of each line what only later versions write, where the other does not have it.
void leave_out_new(ordered_json& a, ordered_json& b) {
  for (const char* key : {"clipped", "span_gradient_loss", "span_gradient_penalty"}) {
    if (a.contains(key) != b.contains(key)) {
      a.erase(key);
      b.erase(key);
    }
  }
}

RunDifference compare(const RunRecord& a, const RunRecord& b) {
  RunDifference result;
  int64_t last = 0;
  for (const auto& [key, line] : a.lines) {
    const auto other = b.lines.find(key);
    if (other == b.lines.end()) continue;
    result.steps_compared += 1;
    last = key.first;
    ordered_json line_a = line, line_b = other->second;
    leave_out_new(line_a, line_b);
    if (line_a == line_b) continue;
    result.first_step = key.first;
    result.numbers = differences(line_a, line_b);
    break;
  }
  require(result.steps_compared > 0,
          "[diff] expected steps that both runs recorded; got none; is run.log_steps too large?");
  const ordered_json entry_a = entry_of(a, last), entry_b = entry_of(b, last);
  result.settings = differences(entry_a, entry_b);
  result.reading = reading_difference(entry_a, entry_b);
  return result;
}

/// The newest checkpoint of the run in `folder`; nothing where its manifest names none that is
/// there.
std::optional<SafetensorsFile> newest_checkpoint(const std::filesystem::path& folder) {
  const std::string name = read_whole_manifest(folder / "manifest.json").checkpoint;
  if (name.empty() || !std::filesystem::is_regular_file(folder / name)) return {};
  SafetensorsFile file(folder / name);
  check_format(file);
  if (!file.has_checksums()) return {};
  return file;
}

/// The tensors that both checkpoints have and that are not the same, bit for bit, by their
/// checksums; nothing where they are of different steps. Metrics tell nothing of what no loss
/// depends on, as the average of the weights.
std::vector<Difference> tensor_differences(const SafetensorsFile& a, const SafetensorsFile& b) {
  std::vector<Difference> all;
  const std::vector<std::string> names = b.names();
  for (const std::string& name : a.names()) {
    if (std::ranges::find(names, name) == names.end()) continue;
    const std::string of_a = a.checksum(name), of_b = b.checksum(name);
    if (of_a != of_b) all.push_back({name, of_a.substr(0, 12), of_b.substr(0, 12)});
  }
  return all;
}

void compare_checkpoints(RunDifference& result, const std::filesystem::path& a,
                         const std::filesystem::path& b) {
  const std::optional<SafetensorsFile> file_a = newest_checkpoint(a), file_b = newest_checkpoint(b);
  if (result.first_step || !file_a || !file_b) return;
  const int64_t step = read_header(*file_a).progress.step;
  if (step != read_header(*file_b).progress.step) return;
  result.numbers = tensor_differences(*file_a, *file_b);
  if (!result.numbers.empty()) result.first_step = step;
}

/// Of what was trained again, where that ends at the step of the run's newest checkpoint.
void compare_with_checkpoint(RunDifference& result, const std::filesystem::path& folder,
                             Trainer& trainer) {
  const std::optional<SafetensorsFile> file = newest_checkpoint(folder);
  if (result.first_step || !file) return;
  if (read_header(*file).progress.step != trainer.steps_done()) return;
  const std::vector<std::string> names = file->names();
  for (const NamedTensor& one : state_of(trainer)) {
    if (std::ranges::find(names, one.name) == names.end()) continue;
    std::vector<std::byte> now;
    one.write([&](std::span<const std::byte> bytes) {
      now.insert(now.end(), bytes.begin(), bytes.end());
    });
    const std::string recorded = file->checksum(one.name), again = sha256(now);
    if (recorded == again) continue;
    result.numbers.push_back({one.name, recorded.substr(0, 12), again.substr(0, 12)});
    result.first_step = trainer.steps_done();
  }
}

/// The last of `steps` that was made with the settings of the first.
int64_t steps_of_first_settings(const std::vector<ordered_json>& starts, int64_t steps) {
  const auto settings_of = [](const ordered_json& start) {
    return recorded_json(config_from_json(start["configuration"]));
  };
  for (const ordered_json& start : starts) {
    if (settings_of(start) != settings_of(starts[0])) {
      steps = std::min(steps, start["step"].get<int64_t>());
    }
  }
  return steps;
}

}  // namespace

std::vector<Difference> differences(const ordered_json& a, const ordered_json& b) {
  std::vector<std::string> keys;
  for (const ordered_json* json : {&a, &b}) {
    for (const auto& [key, value] : json->items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<Difference> all;
  for (const std::string& key : keys) {
    if (a.contains(key) && b.contains(key) && a[key].is_object() && b[key].is_object()) {
      for (Difference& inner : differences(a[key], b[key])) {
        inner.name = key + "." + inner.name;
        all.push_back(std::move(inner));
      }
    } else if (text_of(a, key) != text_of(b, key)) {
      all.push_back({key, text_of(a, key), text_of(b, key)});
    }
  }
  return all;
}

RunDifference compare_runs(const std::filesystem::path& a, const std::filesystem::path& b) {
  const RunRecord run_a = read_run(a), run_b = read_run(b);
  RunDifference result = compare(run_a, run_b);
  compare_checkpoints(result, a, b);
  const auto last_of = [](const RunRecord& run) { return run.lines.rbegin()->first.first; };
  if (last_of(run_a) != last_of(run_b)) {
    result.settings.insert(
        result.settings.begin(),
        {"recorded up to step", std::to_string(last_of(run_a)), std::to_string(last_of(run_b))});
  }
  return result;
}

Isa recorded_isa(const std::filesystem::path& folder) {
  const ordered_json environment = read_manifest(folder / "manifest.json")[0]["environment"];
  require(environment.contains("isa") && environment["isa"].is_string(),
          "[repro] expected the level of instructions in the record of {}; got none",
          folder.string());
  return isa_of(environment["isa"].get<std::string>());
}

RunDifference reproduce(const std::filesystem::path& folder, const std::string& data,
                        int64_t steps) {
  const RunRecord recorded = read_run(folder);
  const ordered_json& start = recorded.starts[0];
  require(start["step"] == 0,
          "[repro] expected the record of a run from its first step in {}; got one from step {}",
          folder.string(), start["step"].dump());
  require(start.value("random_numbering", ordered_json(1)) == kRandomNumbering,
          "[repro] expected a run of this version's random numbers in {}; got one of another, {}; "
          "only that can repeat it",
          folder.string(), start["environment"].value("version", ordered_json("unknown")).dump());
  const Isa level = recorded_isa(folder);
  require(isa() == level,
          "[repro] expected the process to be at the level that {} was trained at, {}; got {}; "
          "open it at that level",
          folder.string(), name(level), name(isa()));
  const TrainingConfig config = config_from_json(start["configuration"]);
  const Corpus corpus = Corpus::open(data.empty() ? config.run.data : data);
  require(start["data"].value("text_sha256", ordered_json()) == corpus.text_hash(),
          "[repro] expected the text that {} was trained on; got another; give the right run.data",
          folder.string());
  const ordered_json parts = start["data"].value("parts_sha256", ordered_json());
  require(
      parts.is_null() || parts == ordered_json(corpus.identity().part_hashes),
      "[repro] expected the text to be cut as that which {} was trained on; got another cut; give "
      "the right run.data",
      folder.string());
  const int64_t asked =
      std::min(steps, recorded.lines.empty() ? 0 : recorded.lines.rbegin()->first.first);
  steps = steps_of_first_settings(recorded.starts, asked);

  Trainer trainer(config, corpus.identity(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  if (start.contains("init_from")) {
    initialise(trainer);
    require(start["init_from"].is_object() &&
                start["init_from"].value("sha256", ordered_json()) == trainer.origin()->sha256,
            "[repro] expected the checkpoint whose weights {} began with at {}; got another, of "
            "SHA-256 {}; put that one back",
            folder.string(), config.run.init_from, trainer.origin()->sha256.substr(0, 12));
  }
  RunRecord now;
  now.starts.push_back(manifest_entry(trainer));
  while (trainer.steps_done() < steps) {
    add_line(now.lines, step_line(trainer.step(), config));
    const bool closes_round = trainer.steps_done() % config.run.steps_per_round == 0 ||
                              trainer.steps_done() == config.run.steps();
    if (closes_round) {
      add_line(now.lines, validation_line(trainer.validate(), config));
    }
  }
  RunDifference result = compare(recorded, now);
  compare_with_checkpoint(result, folder, trainer);
  if (steps < asked) result.settings_changed = steps;
  return result;
}

}  // namespace adaspan
