// SPDX-License-Identifier: MIT
// Where the program finds the files that come with it, whatever folder it was moved to.
#pragma once

#include <filesystem>
#include <string>

namespace adaspan {

/// The folder that holds presets/ and tools/: ../share/adaspan, seen from the folder of the running
/// program, where it is installed, and the folder of the sources where it lies in a build folder.
/// Throws Error if neither is there.
std::filesystem::path data_folder();

/// The file of a preset. Throws Error, with the names of those there are, for an unknown name.
std::filesystem::path preset_path(const std::string& name);

}  // namespace adaspan
