// SPDX-License-Identifier: MIT
// Where runs are kept, and which of a run's checkpoints is meant.
#pragma once

#include <filesystem>
#include <string>

#include <adaspan/train/data/data_identity.h>

namespace adaspan {

/// Where a run is kept that names no place: "runs/PRESET-CORPUS/checkpoint.safetensors", CORPUS the
/// name of the corpus's folder. Where a run with other data is there already, the first letters of
/// the text's hash follow, so that no two corpora ever share a folder.
std::filesystem::path default_checkpoint(const std::string& preset,
                                         const std::filesystem::path& corpus,
                                         const DataIdentity& data);

/// The checkpoint that `given` means: a file means that file; a folder the best one of the run in
/// it, or where none was validated the newest; nothing, the run in runs/ that was saved last.
/// Throws Error when there is none.
std::filesystem::path chosen_checkpoint(const std::filesystem::path& given);

}  // namespace adaspan
