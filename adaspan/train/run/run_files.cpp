// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run_files.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/data/corpus.h"
#include "adaspan/train/run/manifest.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBest = "best.safetensors";
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kManifest = "manifest.json";

/// Whether it ends as the names of older checkpoints do: "c.step-20".
bool ends_with_step(const std::string& name) {
  const size_t at = name.rfind(".step-");
  const std::string number = at == std::string::npos ? "" : name.substr(at + 6);
  return !number.empty() &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

void check_name(const RunFiles& files) {
  const fs::path name = files.checkpoint.filename();
  const auto taken = [&](bool is, const char* by) {
    require(
        !is,
        "[checkpoint] expected another run.checkpoint than {}, where {} would be; copy the file "
        "to go on from it",
        files.checkpoint.string(), by);
  };
  require(!name.empty() && name != "." && name != "..",
          "[checkpoint] expected run.checkpoint with the name of a file; got {}",
          files.checkpoint.string());
  taken(name == kBest, "the best one by validation is kept");
  taken(name == kMetrics || name == kManifest, "a record of the run is kept");
  taken(name.extension() == ".tmp", "a file that is being written");
  taken(ends_with_step(name.string()) || ends_with_step(name.stem().string()),
        "an older checkpoint is kept");
}

void check_length(const RunFiles& files, const fs::path& existing) {
  const std::string longest = files.older(kMostSteps).string() + ".set-aside-999";
  const long most = ::pathconf(existing.c_str(), _PC_NAME_MAX);
  const size_t name = fs::path(longest).filename().string().size();
  const size_t own = files.checkpoint.filename().string().size();
  require(most < 0 || name <= static_cast<size_t>(most),
          "[checkpoint] expected a name of at most {} bytes for run.checkpoint, so that those of "
          "older ones fit, too; got {}",
          static_cast<size_t>(std::max(most, 0L)) - std::min(name - own, size_t(most)), own);
  require(longest.size() < PATH_MAX,
          "[checkpoint] expected a path of at most {} bytes for run.checkpoint; got {}",
          PATH_MAX - 1 - (longest.size() - files.checkpoint.string().size()),
          files.checkpoint.string().size());
}

/// Where the folder is or will be made: the nearest one above that there is.
fs::path existing_folder(const fs::path& folder) {
  fs::path existing = folder;
  std::error_code error;
  while (!fs::exists(existing, error)) {
    require(!error || error == std::errc::no_such_file_or_directory ||
                error == std::errc::filename_too_long || error == std::errc::not_a_directory,
            "[checkpoint] expected a folder that can be looked into for run.checkpoint; got {}: {}",
            existing.string(), error.message());
    existing = existing.has_relative_path() ? existing.parent_path() : fs::path();
    if (existing.empty()) existing = ".";
  }
  require(fs::is_directory(existing),
          "[checkpoint] expected a folder for run.checkpoint; got {}, which is a file",
          existing.string());
  return existing;
}

void check_folder(const RunFiles& files, const fs::path& existing) {
  const bool writable = ::access(existing.c_str(), W_OK | X_OK) == 0;
  require(writable,
          "[checkpoint] expected a folder that can be written for run.checkpoint; got {}: {}; "
          "choose another folder",
          existing.string(), std::strerror(errno));
  for (const fs::path& file : {files.checkpoint, files.best, files.metrics, files.manifest}) {
    require(!fs::exists(file) || fs::is_regular_file(file),
            "[checkpoint] expected a file at {}, where the run keeps one; got a folder or device; "
            "choose another run.checkpoint",
            file.string());
  }
}

void check_not_of_corpus(const RunFiles& files, const fs::path& data) {
  std::vector<fs::path> own{corpus_record_path(data), vocabulary_path(data)};
  for (Part part : kParts) own.push_back(token_path(data, part));
  if (fs::exists(corpus_record_path(data))) {
    for (const SourceRecord& source : read_corpus_record(data).sources) own.push_back(source.path);
  }
  for (const fs::path& file : own) {
    std::error_code ignored;
    require(!fs::equivalent(files.checkpoint, file, ignored),
            "[checkpoint] expected another run.checkpoint than {}; got a file of the corpus in {}",
            files.checkpoint.string(), data.string());
  }
}

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

fs::path free_name(const fs::path& path, const char* why) {
  for (int i = 1;; ++i) {
    fs::path name = fmt::format("{}.{}-{}", path.string(), why, i);
    if (!fs::exists(fs::symlink_status(name))) return name;
  }
}

}  // namespace

RunFiles::RunFiles(fs::path newest)
    : folder(newest.has_parent_path() ? newest.parent_path() : fs::path(".")),
      checkpoint(std::move(newest)),
      best(checkpoint.parent_path() / kBest),
      metrics(checkpoint.parent_path() / kMetrics),
      manifest(checkpoint.parent_path() / kManifest) {}

fs::path RunFiles::older(int64_t step) const {
  return checkpoint.parent_path() / fmt::format("{}.step-{}{}", checkpoint.stem().string(), step,
                                                checkpoint.extension().string());
}

std::vector<RunFiles::Older> RunFiles::all_older() const {
  std::vector<Older> all;
  const std::string before = checkpoint.stem().string() + ".step-";
  std::error_code none;  // no folder, no checkpoints
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(before)) continue;
    int64_t step = 0;
    std::from_chars(name.data() + before.size(), name.data() + name.size(), step);
    if (older(step).filename() == name) all.push_back({step, older(step)});
  }
  std::sort(all.begin(), all.end(), [](const Older& a, const Older& b) { return a.step > b.step; });
  return all;
}

void check_place(const RunConfig& run, uint64_t bytes) {
  const RunFiles files(run.checkpoint);
  check_name(files);
  const fs::path existing = existing_folder(files.folder);
  check_length(files, existing);
  check_folder(files, existing);
  if (!run.data.empty()) check_not_of_corpus(files, run.data);
  std::error_code unknown;
  const fs::space_info space = fs::space(existing, unknown);
  // A new run keeps the best one beside the newest; one that goes on replaces what is there.
  const uint64_t needed = fs::exists(files.checkpoint) ? bytes : 2 * bytes;
  require(
      unknown || space.available >= needed,
      "[checkpoint] expected {} of free space in {} for the run's checkpoints; got {}; free some "
      "or choose another folder",
      megabytes(needed), existing.string(), megabytes(space.available));
}

void check_owner(const RunFiles& files) {
  if (!fs::exists(files.manifest)) return;
  const std::string owner = read_whole_manifest(files.manifest).checkpoint;
  const fs::path own = files.checkpoint.parent_path() / owner;
  // Where the run's checkpoint was renamed, and is given by its new name, the run goes on.
  const bool renamed = fs::exists(files.checkpoint) && !fs::exists(own);
  require(
      owner.empty() || owner == files.checkpoint.filename() || renamed,
      "[checkpoint] expected a folder of its own for run.checkpoint {}; got that of another run, "
      "{}, as {} says; choose another folder",
      files.checkpoint.string(), own.string(), files.manifest.string());
}

fs::path set_aside(const fs::path& path, const char* why) {
  fs::path aside = free_name(path, why);
  std::error_code error;
  fs::rename(path, aside, error);
  require(!error, "[checkpoint] expected to rename {} to {}; got: {}; move it elsewhere",
          path.string(), aside.string(), error.message());
  return aside;
}

fs::path copy_aside(const fs::path& path, const char* why) {
  fs::path aside = free_name(path, why);
  atomic_write(aside, read_text(path));
  return aside;
}

}  // namespace adaspan
