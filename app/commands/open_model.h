// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include <adaspan/train/run/loaded_model.h>

#include "app/output.h"

namespace adaspan::cli {

/// chosen_checkpoint(), noting which one it is where that was left open.
std::filesystem::path choose_checkpoint(Output& output, const std::string& given);

/// load_model(), noting what the user should know of the model.
LoadedModel open_model(Output& output, const std::filesystem::path& path,
                       Weights weights = Weights::last);

/// open_corpus() for the checkpoint at `path`. Where it names its corpus by a path that leads
/// nowhere from here, the error says so, and where the corpus may be.
Corpus open_corpus(const LoadedModel& loaded, const std::filesystem::path& path,
                   const std::string& data);

}  // namespace adaspan::cli
