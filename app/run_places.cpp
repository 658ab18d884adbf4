// SPDX-License-Identifier: MIT
#include "app/run_places.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "adaspan/core/error.h"
#include "adaspan/train/run/manifest.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuns = "runs";

bool has_run_of_other_data(const fs::path& folder, const DataIdentity& data) {
  if (!fs::exists(folder / "manifest.json")) return false;
  const nlohmann::ordered_json then = read_manifest(folder / "manifest.json").back().at("data");
  return then.value("text_sha256", data.text_hash) != data.text_hash ||
         then.value("vocabulary_sha256", data.vocabulary_hash) != data.vocabulary_hash;
}

/// Checkpoints in a folder: the best one if it is there, and the one that was saved last.
struct Saved {
  fs::path best, newest;
  fs::file_time_type time = fs::file_time_type::min();  ///< of the newest
};
Saved saved_in(const fs::path& folder) {
  Saved saved;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".safetensors" || !entry.is_regular_file(ignored)) continue;
    if (path.filename() == "best.safetensors") saved.best = path;
    const auto time = entry.last_write_time(ignored);
    if (time > saved.time) saved.time = time, saved.newest = path;
  }
  return saved;
}

/// The folder of runs/ with the checkpoint that was saved last; "runs" itself where there is none.
fs::path last_run() {
  fs::path last = kRuns;
  auto time = fs::file_time_type::min();
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(kRuns, ignored)) {
    const Saved saved = saved_in(entry.path());
    if (saved.time > time) time = saved.time, last = entry.path();
  }
  return last;
}

}  // namespace

fs::path default_checkpoint(const std::string& preset, const fs::path& corpus,
                            const DataIdentity& data) {
  fs::path name = corpus.lexically_normal();
  if (!name.has_filename()) name = name.parent_path();  // "data/my/"
  std::string folder = (preset.empty() ? "" : preset + "-") + name.filename().string();
  if (has_run_of_other_data(fs::path(kRuns) / folder, data)) {
    folder += "-" + data.text_hash.substr(0, 8);
  }
  return fs::path(kRuns) / folder / "checkpoint.safetensors";
}

fs::path chosen_checkpoint(const fs::path& given) {
  if (!given.empty() && !fs::is_directory(given)) return given;
  const fs::path folder = given.empty() ? last_run() : given;
  require(!given.empty() || folder != kRuns,
          "[checkpoint] expected --checkpoint, or a run in runs/; got neither; 'adaspan train' "
          "makes one");
  const Saved saved = saved_in(folder);
  require(!saved.newest.empty(),
          "[checkpoint] expected a run's folder with its checkpoints; got {}, which has none; "
          "'adaspan train' makes one, and --checkpoint names it",
          folder.string());
  return saved.best.empty() ? saved.newest : saved.best;
}

}  // namespace adaspan
