// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/core/safetensors.h>
#include <adaspan/train/run/loaded_model.h>

namespace adaspan {

/// What is in a checkpoint, `file` and the model loaded from it: step, losses, settings, spans and
/// a table of its parameters.
std::string describe(const SafetensorsFile& file, const LoadedModel& loaded);

/// Of another safetensors file: its header and tensors.
std::string describe(const SafetensorsFile& file);

/// Of a corpus: its record and the size of its parts.
std::string describe(const Corpus& corpus);

}  // namespace adaspan
