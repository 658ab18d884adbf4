// SPDX-License-Identifier: MIT
// The files of a run, all in the folder of its checkpoint, which is the run's alone:
//   checkpoint.safetensors            the newest checkpoint; the name that the run was given
//   checkpoint.step-300.safetensors   older ones
//   best.safetensors                  the best by validation
//   metrics.jsonl, manifest.json      its records
// and what can be known about them before the first step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <adaspan/train/run/training_config.h>

namespace adaspan {

struct RunFiles {
  explicit RunFiles(std::filesystem::path newest);

  std::filesystem::path folder;  ///< "." where the checkpoint's name has none
  std::filesystem::path checkpoint, best, metrics, manifest;

  std::filesystem::path older(int64_t step) const;
  struct Older {
    int64_t step;
    std::filesystem::path path;
  };
  /// Those that are there, the latest first.
  std::vector<Older> all_older() const;
};

/// Throws Error unless a run can keep its files at run.checkpoint: with names that fall on none of
/// its own files or its corpus's and that the file system takes, in a folder that can be written
/// and has room for `bytes`. Changes nothing.
void check_place(const RunConfig& run, uint64_t bytes);

/// Throws Error, naming the run, when the folder has the records of another one. Changes nothing.
void check_owner(const RunFiles& files);

/// Renames a file, so that nothing overwrites it, to one of its name and "<why>-1", or the first
/// number that is free. Returns the new path. Throws Error when it cannot.
std::filesystem::path set_aside(const std::filesystem::path& path, const char* why);
/// The same of a copy; the file stays.
std::filesystem::path copy_aside(const std::filesystem::path& path, const char* why);

}  // namespace adaspan
