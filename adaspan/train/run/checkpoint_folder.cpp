// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint_folder.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<FieldChange> changes_since(const CheckpointHeader& saved, const Trainer& now) {
  std::vector<FieldChange> all = changes(recorded_json(saved.config), now.config());
  if (saved.isa != name(isa())) {
    const Field instructions{"isa", "isa", Role::changeable};
    all.push_back({instructions, json(saved.isa).dump(), json(name(isa())).dump()});
  }
  return all;
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path newest, int64_t keep_last)
    : files_(std::move(newest)), keep_last_(keep_last) {
  guard();
}

void CheckpointFolder::guard() {
  make_folder_of(files_.checkpoint);  // a lock needs something to lie on
  lock_.emplace(files_.folder);
  struct stat found {};
  ::stat(files_.folder.c_str(), &found);
  device_ = found.st_dev;
  inode_ = found.st_ino;
}

bool CheckpointFolder::is_in_place() const {
  struct stat found {};
  return ::stat(files_.folder.c_str(), &found) == 0 && found.st_dev == device_ &&
         found.st_ino == inode_;
}

bool CheckpointFolder::make_again() {
  if (is_in_place()) return false;
  guard();
  for (const fs::path& file : {files_.checkpoint, files_.best, files_.metrics, files_.manifest}) {
    if (fs::exists(file)) set_aside(file, "set-aside");
  }
  return true;
}

bool CheckpointFolder::has_best() const {
  return fs::exists(files_.best);
}

int64_t CheckpointFolder::best_step() const {
  if (!has_best()) return -1;
  try {
    return read_header(SafetensorsFile(files_.best)).progress.step;
  } catch (const Error&) {  // damaged: the last one to try
    return -1;
  }
}

std::optional<Resumption> CheckpointFolder::resume(Trainer& trainer) {
  std::vector<RunFiles::Older> candidates = files_.all_older();
  // A best one alone may be that of another run.
  if (!fs::exists(files_.checkpoint) && candidates.empty()) return std::nullopt;
  if (has_best()) {
    const int64_t best = best_step();
    const auto earlier = [&](const RunFiles::Older& old) { return old.step < best; };
    candidates.insert(std::find_if(candidates.begin(), candidates.end(), earlier),
                      {best, files_.best});
  }
  if (fs::exists(files_.checkpoint)) {
    candidates.insert(candidates.begin(), {newest_step_, files_.checkpoint});
  }
  return resume_from(candidates, trainer);
}

std::optional<Resumption> CheckpointFolder::resume_from_best(Trainer& trainer) {
  return resume_from({{best_step(), files_.best}}, trainer);
}

std::optional<Resumption> CheckpointFolder::resume_from(
    const std::vector<RunFiles::Older>& candidates, Trainer& trainer) {
  std::vector<std::pair<fs::path, std::string>> damaged;
  for (const auto& [step, path] : candidates) {
    try {
      Resumption resumption{path, {}, {}, {}, {}};
      const CheckpointHeader header = load_checkpoint(path, trainer);
      resumption.changed = changes_since(header, trainer);
      resumption.losses = header.progress.losses;
      resumption.before = header.config;
      for (const auto& [bad, reason] : damaged) {
        resumption.skipped.push_back(fmt::format("skipped {}, now {}: {}", bad.string(),
                                                 set_aside(bad, "damaged").string(), reason));
      }
      if (path == files_.checkpoint) newest_step_ = trainer.steps_done();
      return resumption;
    } catch (const DamagedFile& e) {
      damaged.emplace_back(path, e.what());
    }
  }
  fail(
      "[checkpoint] expected a whole checkpoint in {}; got {} damaged ones, the newest: {}; give a "
      "run.checkpoint in another folder to start anew",
      files_.folder.string(), damaged.size(), damaged[0].second);
}

void CheckpointFolder::save(Trainer& trainer, bool best) {
  // First the best one: after an end between the two the run repeats the steps that made it.
  if (best) save_checkpoint(files_.best, trainer);
  if (keep_last_ > 1 && newest_step_ >= 0 && newest_step_ != trainer.steps_done()) keep_newest();
  save_checkpoint(files_.checkpoint, trainer);
  newest_step_ = trainer.steps_done();
  drop_oldest();
}

void CheckpointFolder::keep_newest() const {
  if (!fs::exists(files_.checkpoint)) return;  // somebody has moved it: there is nothing to keep
  const fs::path kept = files_.older(newest_step_);
  std::error_code error;
  fs::remove(kept, error);
  // So that there is a newest one at every moment.
  fs::create_hard_link(files_.checkpoint, kept, error);
  if (!error) return;
  fs::rename(files_.checkpoint, kept, error);  // not all file systems have links
  require(!error, "[checkpoint] expected to keep {} as {}; got: {}", files_.checkpoint.string(),
          kept.string(), error.message());
}

void CheckpointFolder::drop_oldest() const {
  const std::vector<RunFiles::Older> all = files_.all_older();
  for (size_t i = static_cast<size_t>(keep_last_ - 1); i < all.size(); ++i) {
    std::error_code ignored;  // it only takes space
    fs::remove(all[i].path, ignored);
  }
}

}  // namespace adaspan
