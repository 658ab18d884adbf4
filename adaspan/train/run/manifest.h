// SPDX-License-Identifier: MIT
// manifest.json beside a run's checkpoint: all that its numbers are a function of, and where they
// were made. {"starts": [...]}: one entry for each start whose entry differs from the one before.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// One entry: "step" it begins after, "configuration" (all fields), "environment" (version and
/// commit, compiler and flags, oneDNN, processor, instruction set in use, threads), "data" (SHA-256
/// of text and vocabulary, sizes), "parameters".
nlohmann::ordered_json manifest_entry(const Trainer& trainer);

/// The "environment" of this process.
nlohmann::ordered_json environment();

/// Adds an entry to the manifest at `path`, unless only its step is new; entries of this step or
/// later ones, which a stopped run had not saved, go. Throws Error when it cannot be written.
void record_start(const std::filesystem::path& path, const nlohmann::ordered_json& entry);

/// All entries. Throws Error when there is no file at `path`, or what is there is no manifest.
std::vector<nlohmann::ordered_json> read_manifest(const std::filesystem::path& path);

}  // namespace adaspan
