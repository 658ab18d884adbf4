// SPDX-License-Identifier: MIT
// manifest.json beside a run's checkpoint: all that its numbers are a function of, and where they
// were made. {"checkpoint": NAME, "saved": STEP, "starts": [...]}: the file whose run it is, the
// last step that was saved there, and one entry for each start that differs from the one before.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// One entry: "step" it begins after, "configuration" (all fields), "environment" (version and
/// commit, compiler and flags, oneDNN, processor, instruction set in use, threads), "data" (SHA-256
/// of text, parts and vocabulary, sizes; "reading": how the text became tokens), "parameters";
/// "init_from" where it began with weights of another run: path, SHA-256, updates that the
/// optimizer remembers.
nlohmann::ordered_json manifest_entry(const Trainer& trainer);

/// The "environment" of this process.
nlohmann::ordered_json environment();

struct Manifest {
  /// Name of the run's checkpoint, without a folder; empty if it is not known.
  std::string checkpoint;
  /// Last step that was saved; none in those of versions before 0.2.0, and before the first save.
  std::optional<int64_t> saved;
  bool tells_saves = false;  ///< that without `saved` there was no save
  std::vector<nlohmann::ordered_json> starts;
};

/// Throws Error when there is no file at `path`, or what is there is no manifest.
Manifest read_whole_manifest(const std::filesystem::path& path);
/// Throws Error when it cannot be written.
void write_manifest(const std::filesystem::path& path, const Manifest& manifest);

/// Adds an entry to the manifest of run `checkpoint` at `path`, unless only its step is new;
/// entries of this step or later ones, which a stopped run had not saved, go. Throws Error when it
/// cannot be written. Returns it.
Manifest record_start(const std::filesystem::path& path, const nlohmann::ordered_json& entry,
                      const std::string& checkpoint);

/// Makes the manifest at `path` say that step `step` is the last one saved, as a run that was ended
/// between its checkpoint and its manifest could not. One that says so, or does not tell of saves,
/// stays as it is. Throws Error when it is damaged or cannot be written.
void record_save(const std::filesystem::path& path, int64_t step);

/// All entries. Throws Error when there is no file at `path`, or what is there is no manifest.
std::vector<nlohmann::ordered_json> read_manifest(const std::filesystem::path& path);

}  // namespace adaspan
