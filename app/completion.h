// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "app/command_tree.h"

namespace adaspan {

/// A script for bash that completes commands, options, and values: alternatives, presets, files and
/// folders.
std::string bash_completion(const Command& program);

}  // namespace adaspan
