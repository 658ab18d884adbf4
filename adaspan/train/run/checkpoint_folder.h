// SPDX-License-Identifier: MIT
// The checkpoints of one run, so that no accident loses more than the steps since the last one:
//   checkpoint.safetensors            the newest; the name that the run was given
//   checkpoint.step-300.safetensors   older ones
//   best.safetensors                  the best by validation
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/core/file.h>
#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/config_record.h>

namespace adaspan {

/// From where a run goes on.
struct Resumption {
  std::filesystem::path path;        ///< which checkpoint it was
  std::vector<FieldChange> changed;  ///< fields that have changed since, and the instructions used
  std::vector<std::string> skipped;  ///< one line for each damaged one, and where it is now
};

class CheckpointFolder {
 public:
  /// For checkpoints at `newest` and beside it, `keep_last` of them and the best. Makes the folder
  /// and keeps other runs out of it. Throws Error when it cannot, when another run is in it, and
  /// when `newest` has the name of the best one.
  CheckpointFolder(std::filesystem::path newest, int64_t keep_last);

  /// Puts the newest whole checkpoint into `trainer`; nothing when there is none, or only a best
  /// one. Damaged ones are passed over and renamed, never deleted. Throws Error as restore does,
  /// and when all are damaged.
  std::optional<Resumption> resume(Trainer& trainer);

  /// Saves the state of `trainer`, also as the best one if it is. A failure, or an end of the
  /// process at any moment, leaves the older ones as they were. Throws Error as save_checkpoint.
  void save(Trainer& trainer, bool best);

 private:
  struct Older {
    int64_t step;
    std::filesystem::path path;
  };
  std::filesystem::path best_path() const { return newest_.parent_path() / "best.safetensors"; }
  std::filesystem::path older_path(int64_t step) const;
  std::vector<Older> older() const;  // the latest first
  int64_t best_step() const;
  void keep_newest() const;
  void drop_oldest() const;

  std::filesystem::path newest_;
  int64_t keep_last_;
  FolderLock lock_;
  int64_t newest_step_ = -1;  // of the file at newest_, if this run knows it
};

}  // namespace adaspan
