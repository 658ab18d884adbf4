// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run_start.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/init_from.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/metrics.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::vector<ordered_json> metrics_of(const RunFiles& files) {
  if (!fs::exists(files.metrics)) return {};
  return read_metrics(files.metrics);
}

int64_t last_step(const std::vector<ordered_json>& lines) {
  int64_t last = 0;
  for (const ordered_json& line : lines) last = std::max(last, line["step"].get<int64_t>());
  return last;
}

/// Whether the records tell of a checkpoint that was saved. Steps of a run that ended before its
/// first one are nobody's loss: the same command makes them again.
bool tell_of_a_save(const RunFiles& files, const std::vector<ordered_json>& lines) {
  if (fs::exists(files.manifest)) {
    const Manifest manifest = read_whole_manifest(files.manifest);
    if (manifest.tells_saves) return manifest.saved.has_value();
  }
  return std::ranges::any_of(lines, [](const auto& line) { return line.contains("valid_loss"); });
}

/// Of a folder without the newest checkpoint and older ones.
void check_no_loss(const RunFiles& files, const CheckpointFolder* folder) {
  const std::vector<ordered_json> lines = metrics_of(files);
  require(!lines.empty() || fs::exists(files.manifest) || !fs::exists(files.metrics) ||
              fs::is_empty(files.metrics),
          "[run] expected no {} of something else, where this run keeps its own; got one; move it "
          "or choose another folder for run.checkpoint",
          files.metrics.string());
  const int64_t best = folder != nullptr ? folder->best_step() : -1;
  if (best < 0 && !tell_of_a_save(files, lines)) return;
  const std::string way = best < 0 ? ""
                                   : fmt::format("copy {} (step {}) to it to go on from there; ",
                                                 files.best.string(), best);
  fail(
      "[run] expected the checkpoint {} of the run that {} records up to step {}; got none; {}give "
      "a run.checkpoint in another folder to start anew, or move this one away",
      files.checkpoint.string(), files.metrics.string(), last_step(lines), way);
}

/// A run that was ended while it saved for the first time has the best one alone, and no later
/// step.
bool is_first_save(const RunFiles& files, const CheckpointFolder& folder) {
  return folder.best_step() >= last_step(metrics_of(files));
}

bool is_later(const ordered_json& entry, int64_t step) {
  return entry["step"].get<int64_t>() > step;
}

/// Renames what was made after `step` by a run that has now gone back to it. Where it was only
/// ended between two writes, the same steps will be made again, to the bit, unless settings have
/// changed.
std::optional<std::string> set_later_aside(const RunFiles& files, const CheckpointFolder& folder,
                                           int64_t step, bool changed) {
  std::vector<std::string> now;
  const auto aside = [&](const fs::path& path) {
    now.push_back(set_aside(path, "set-aside").string());
  };
  bool back = false;
  for (const RunFiles::Older& old : files.all_older()) {
    if (old.step <= step) break;
    back = true;
    aside(old.path);
  }
  if (fs::exists(files.manifest)) {
    const Manifest manifest = read_whole_manifest(files.manifest);
    back = back || manifest.saved.value_or(0) > step;
    const auto later = [&](const ordered_json& entry) { return is_later(entry, step); };
    if (back && std::ranges::any_of(manifest.starts, later)) {
      now.push_back(copy_aside(files.manifest, "set-aside").string());
    }
  }
  if ((back || changed) && folder.best_step() > step) aside(files.best);
  if (back && last_step(metrics_of(files)) > step) {
    now.push_back(copy_aside(files.metrics, "set-aside").string());
  }
  if (now.empty()) return std::nullopt;
  return fmt::format("gone back to step {}: what was made after it is now {}", step,
                     fmt::join(now, ", "));
}

/// A run that goes on is not begun again: it can only have begun as it is told to.
void check_same_origin(const Trainer& trainer) {
  const RunConfig& run = trainer.config().run;
  if (run.init_from.empty()) return;
  const std::optional<Origin>& origin = trainer.origin();
  const bool same =
      origin &&
      (origin->path == run.init_from ||
       (fs::exists(run.init_from) && SafetensorsFile(run.init_from).sha256() == origin->sha256));
  require(
      same,
      "[init] expected run.init_from to be left out, or as the run at {} began: {}; got {}; give "
      "a run.checkpoint in another folder to begin a new run with it",
      run.checkpoint, origin ? origin->path + ", SHA-256 " + origin->sha256.substr(0, 12) : "anew",
      run.init_from);
}

std::string unit_text(double nats, const TrainingConfig& config) {
  const DataUnit unit = config.run.data_unit;
  return fmt::format("{:.3f} {}", in_unit(nats, unit), name(unit));
}

void check_best(RunStart& start, Trainer& trainer) {
  const double before = start.from->losses.best_validation;
  if (!std::isfinite(before)) return;
  if (!std::isfinite(trainer.losses().best_validation)) {
    start.notes.push_back(fmt::format(
        "validation reads other text than before, as run.validation and run.steps_per_round say: "
        "the best loss so far, {}, is forgotten",
        unit_text(before, trainer.config())));
  } else if (!start.folder->has_best()) {
    trainer.forget_best();
    start.notes.push_back(fmt::format("the best checkpoint is gone: its loss, {}, is forgotten",
                                      unit_text(before, trainer.config())));
  }
}

/// What the settings of now mean for a run that goes on, other than that they have changed.
void note_changes(RunStart& start, const Trainer& trainer, const TrainingConfig& before) {
  const TrainingConfig& now = trainer.config();
  if (now.optimizer.average > 0 && before.optimizer.average == 0) {
    start.notes.push_back(fmt::format("the average of the weights begins with those of step {}",
                                      trainer.steps_done()));
  }
  if (now.optimizer.average == 0 && before.optimizer.average > 0) {
    start.notes.push_back("the average of the weights is dropped");
  }
  if (ends_at_least(now.schedule.shape) && now.run.steps() != before.run.steps()) {
    start.notes.push_back(fmt::format(
        "the learning rate comes down over {} steps now, over {} before: it goes on along another "
        "curve",
        now.run.steps(), before.run.steps()));
  }
}

void note_patience(RunStart& start, const RunConfig& run) {
  if (run.patience == 0 || run.validation != ValidationMode::rolling) return;
  start.notes.push_back(
      "rolling validations read other text each time, whose losses do not compare: patience may "
      "end "
      "the run too early or too late; run.validation fixed is better for it");
}

}  // namespace

RunStart start_run(Trainer& trainer) {
  const RunConfig& run = trainer.config().run;
  require(!run.checkpoint.empty(),
          "[run] expected run.checkpoint with the name of a file; got none");
  const RunFiles files(run.checkpoint);
  check_place(run,
              static_cast<uint64_t>(checkpoint_bytes(trainer.config(), trainer.model().spans())));
  check_owner(files);

  RunStart start;
  const auto open = [&] {
    start.folder = std::make_unique<CheckpointFolder>(files.checkpoint, run.keep_last);
  };
  const bool is_new = !fs::exists(files.checkpoint) && files.all_older().empty();
  if (is_new && !fs::exists(files.best)) {
    check_no_loss(files, nullptr);
    if (!run.init_from.empty()) start.notes.push_back(initialise(trainer));
    open();
    note_patience(start, run);
    return start;
  }
  open();
  if (is_new) {
    if (!is_first_save(files, *start.folder)) check_no_loss(files, start.folder.get());
    start.from = start.folder->resume_from_best(trainer);
  } else {
    start.from = start.folder->resume(trainer);
  }
  check_same_origin(trainer);
  if (auto note = set_later_aside(files, *start.folder, trainer.steps_done(),
                                  !start.from->changed.empty())) {
    start.notes.push_back(std::move(*note));
  }
  if (trainer.steps_done() >= run.steps()) return start;
  check_best(start, trainer);
  note_changes(start, trainer, start.from->before);
  note_patience(start, run);
  return start;
}

}  // namespace adaspan
