// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint_folder.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// Makes it first: a lock needs something to lie on.
fs::path made_folder_of(const fs::path& file) {
  make_folder_of(file);
  return folder_of(file);
}

/// Renames a damaged file, so that nothing overwrites it.
fs::path set_aside(const fs::path& path) {
  for (int i = 1;; ++i) {
    const fs::path aside = fmt::format("{}.damaged-{}", path.string(), i);
    if (fs::exists(aside)) continue;
    std::error_code error;
    fs::rename(path, aside, error);
    require(!error, "[checkpoint] expected to rename the damaged {}; got: {}; move it elsewhere",
            path.string(), error.message());
    return aside;
  }
}

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
    : newest_(std::move(newest)), keep_last_(keep_last), lock_(made_folder_of(newest_)) {
  require(
      newest_.filename() != best_path().filename(),
      "[checkpoint] expected another run.checkpoint than {}, where the best one by validation is "
      "kept; copy it to go on from it",
      newest_.string());
}

fs::path CheckpointFolder::older_path(int64_t step) const {
  return newest_.parent_path() /
         fmt::format("{}.step-{}{}", newest_.stem().string(), step, newest_.extension().string());
}

std::vector<CheckpointFolder::Older> CheckpointFolder::older() const {
  std::vector<Older> all;
  const std::string before = newest_.stem().string() + ".step-";
  for (const auto& entry : fs::directory_iterator(folder_of(newest_))) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(before)) continue;
    int64_t step = 0;
    std::from_chars(name.data() + before.size(), name.data() + name.size(), step);
    if (older_path(step).filename() == name) all.push_back({step, older_path(step)});
  }
  std::sort(all.begin(), all.end(), [](const Older& a, const Older& b) { return a.step > b.step; });
  return all;
}

int64_t CheckpointFolder::best_step() const {
  try {
    return read_header(SafetensorsFile(best_path())).progress.step;
  } catch (const Error&) {  // damaged: the last one to try
    return -1;
  }
}

std::optional<Resumption> CheckpointFolder::resume(Trainer& trainer) {
  std::vector<Older> candidates = older();
  // A best one alone may be that of another run.
  if (!fs::exists(newest_) && candidates.empty()) return std::nullopt;
  if (fs::exists(best_path())) {
    const int64_t best = best_step();
    const auto earlier = [&](const Older& old) { return old.step < best; };
    candidates.insert(std::find_if(candidates.begin(), candidates.end(), earlier),
                      {best, best_path()});
  }
  if (fs::exists(newest_)) candidates.insert(candidates.begin(), {newest_step_, newest_});

  std::vector<std::pair<fs::path, std::string>> damaged;
  for (const auto& [step, path] : candidates) {
    try {
      Resumption resumption{path, changes_since(load_checkpoint(path, trainer), trainer), {}};
      for (const auto& [bad, reason] : damaged) {
        resumption.skipped.push_back(
            fmt::format("skipped {}, now {}: {}", bad.string(), set_aside(bad).string(), reason));
      }
      if (path == newest_) newest_step_ = trainer.steps_done();
      return resumption;
    } catch (const DamagedFile& e) {
      damaged.emplace_back(path, e.what());
    }
  }
  fail(
      "[checkpoint] expected a whole checkpoint in {}; got {} damaged ones, the newest: {}; give "
      "another run.checkpoint to start anew",
      folder_of(newest_).string(), damaged.size(), damaged[0].second);
}

void CheckpointFolder::save(Trainer& trainer, bool best) {
  // First the best one: after an end between the two the run repeats the steps that made it.
  if (best) save_checkpoint(best_path(), trainer);
  if (keep_last_ > 1 && newest_step_ >= 0 && newest_step_ != trainer.steps_done()) keep_newest();
  save_checkpoint(newest_, trainer);
  newest_step_ = trainer.steps_done();
  drop_oldest();
}

void CheckpointFolder::keep_newest() const {
  const fs::path kept = older_path(newest_step_);
  std::error_code error;
  fs::remove(kept, error);
  fs::create_hard_link(newest_, kept, error);  // so that there is a newest one at every moment
  if (!error) return;
  fs::rename(newest_, kept, error);  // not all file systems have links
  require(!error, "[checkpoint] expected to keep {} as {}; got: {}", newest_.string(),
          kept.string(), error.message());
}

void CheckpointFolder::drop_oldest() const {
  const std::vector<Older> all = older();
  for (size_t i = static_cast<size_t>(keep_last_ - 1); i < all.size(); ++i) {
    std::error_code ignored;  // it only takes space
    fs::remove(all[i].path, ignored);
  }
}

}  // namespace adaspan
