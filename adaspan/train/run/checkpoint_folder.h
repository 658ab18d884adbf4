// SPDX-License-Identifier: MIT
// The checkpoints of one run (run_files.h has their names), so that no accident loses more than the
// steps since the last one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/core/file.h>
#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/config_record.h>
#include <adaspan/train/run/run_files.h>

namespace adaspan {

/// From where a run goes on.
struct Resumption {
  std::filesystem::path path;        ///< which checkpoint it was
  std::vector<FieldChange> changed;  ///< fields that have changed since, and the instructions used
  std::vector<std::string> skipped;  ///< one line for each damaged one, and where it is now
  Losses losses;                     ///< as the checkpoint has them
  TrainingConfig before;             ///< its configuration
};

class CheckpointFolder {
 public:
  /// For checkpoints at `newest` and beside it, `keep_last` of them and the best. Makes the folder
  /// and keeps other runs out of it. Throws Error when it cannot, and when another run is in it.
  CheckpointFolder(std::filesystem::path newest, int64_t keep_last);

  /// Puts the newest whole checkpoint into `trainer`; nothing when there is none, or only a best
  /// one. Damaged ones are passed over and renamed, never deleted. Throws Error as restore does,
  /// and when all are damaged.
  std::optional<Resumption> resume(Trainer& trainer);
  /// The same from the best one alone.
  std::optional<Resumption> resume_from_best(Trainer& trainer);

  /// Makes and guards the folder again where it was removed or moved away while the run went on,
  /// and sets aside what another run has put into its place. Returns whether that was so. Throws
  /// Error when another run is at work there.
  bool make_again();

  /// Saves the state of `trainer`, also as the best one if it is. A failure, or an end of the
  /// process at any moment, leaves the older ones as they were. Throws Error as save_checkpoint.
  void save(Trainer& trainer, bool best);

  /// Whether the best one is there.
  bool has_best() const;
  /// The step of the best one; -1 where there is none, or a damaged one.
  int64_t best_step() const;

 private:
  std::optional<Resumption> resume_from(const std::vector<RunFiles::Older>& candidates,
                                        Trainer& trainer);
  void guard();
  bool is_in_place() const;
  void keep_newest() const;
  void drop_oldest() const;

  RunFiles files_;
  int64_t keep_last_;
  std::optional<FolderLock> lock_;   // its folder stays itself, under whatever name, while it lasts
  uint64_t device_ = 0, inode_ = 0;  // of that folder
  int64_t newest_step_ = -1;         // of the file at files_.checkpoint, if this run knows it
};

}  // namespace adaspan
