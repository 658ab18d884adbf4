// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include <adaspan/core/file.h>

namespace adaspan {

/// A folder for the files of a corpus that are not complete yet; goes with what is left in it.
class StagingFolder {
 public:
  /// Throws Error when it cannot be made, or another preparation is at work in it.
  explicit StagingFolder(const std::filesystem::path& corpus);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Moves all files of a corpus to its folder, the record last. Throws Error when one cannot be
  /// replaced.
  void move_to(const std::filesystem::path& corpus) const;

 private:
  std::filesystem::path path_;
  FolderLock alone_;
};

}  // namespace adaspan
