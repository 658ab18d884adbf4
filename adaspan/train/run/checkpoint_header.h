// SPDX-License-Identifier: MIT
// What a checkpoint knows beside its tensors, kept as the metadata of the file.
#pragma once

#include <map>
#include <string>

#include <adaspan/core/safetensors.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

inline constexpr const char* kCheckpointFormat = "adaspan checkpoint 3";
inline constexpr const char* kOlderCheckpointFormat = "adaspan checkpoint 2";

struct CheckpointHeader {
  TrainingConfig config;
  DataIdentity data;  ///< with empty hashes where the corpus is not known (imported)
  Trainer::Progress progress;
  std::string isa;        ///< instructions that it was made with
  bool resumable = true;  ///< whether its run can go on: not of format 2
};

/// The entries of the file's metadata.
std::map<std::string, std::string> metadata_of(const CheckpointHeader& header);

/// Throws Error unless the file is a checkpoint of a format that can be read.
void check_format(const SafetensorsFile& file);

/// The header of a file whose checksums need not fit. Throws Error when it is none of a checkpoint,
/// or its configuration is out of range.
CheckpointHeader read_header(const SafetensorsFile& file);

}  // namespace adaspan
