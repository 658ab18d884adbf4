// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

namespace adaspan {

/// Prints what is at `path`: of a checkpoint the step, losses, settings, spans and a table of its
/// parameters; of another safetensors file its header and tensors; of a corpus its record and the
/// size of its parts. Throws Error when it is none of these.
void print_contents(const std::filesystem::path& path);

}  // namespace adaspan
