// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <adaspan/core/safetensors.h>
#include <adaspan/train/run/loaded_model.h>

namespace adaspan {

/// What is in a checkpoint, `file` and the model loaded from it: step, losses, settings, spans and
/// a table of its parameters.
nlohmann::ordered_json describe(const SafetensorsFile& file, const LoadedModel& loaded);

/// Of another safetensors file: its header and tensors.
nlohmann::ordered_json describe(const SafetensorsFile& file);

/// Of a corpus: its record and the size of its parts.
nlohmann::ordered_json describe(const Corpus& corpus);

/// Each of them as text.
std::string description_text(const nlohmann::ordered_json& description);

}  // namespace adaspan
