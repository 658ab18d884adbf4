// SPDX-License-Identifier: MIT
// Where the program finds the files that come with it, whatever folder it was moved to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace adaspan {

/// The folder that holds presets/ and tools/: ../share/adaspan, seen from the folder of the running
/// program, where it is installed, and the folder of the sources where it lies in a build folder.
/// Throws Error if neither is there.
std::filesystem::path data_folder();

/// The names of the presets there are, in order.
std::vector<std::string> preset_names();

/// The file of a preset. Throws Error, with the names of those there are, for an unknown name.
std::filesystem::path preset_path(const std::string& name);

/// What the comment at the beginning of a preset's file tells. Numbers that it does not are 0.
struct PresetNotes {
  std::string about;   ///< "The paper's 12-layer model on enwik8, 39 M parameters."
  std::string expect;  ///< from its word "Expect" on: the result to expect
  // "# Vocabulary 28; published: mean span 314, 42M FLOPS a token."
  int64_t vocabulary = 0;  ///< of the corpus that it is for
  int64_t mean_span = 0;   ///< published
  double flops = 0;        ///< of a token, published
};
PresetNotes preset_notes(const std::string& name);
/// From the text of the file.
PresetNotes notes_of_preset(const std::string& file);

}  // namespace adaspan
