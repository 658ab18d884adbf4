// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include <adaspan/train/run/loaded_model.h>

namespace adaspan::cli {

/// load_model(); what the user should know of the model goes to standard error.
LoadedModel open_model(const std::filesystem::path& path);

}  // namespace adaspan::cli
