// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <adaspan/train/run/loaded_model.h>

namespace adaspan {

/// What moves the span of each head, and what holds it: {"steps": that the means are of, "heads":
/// one object for each}. Null where nothing is known: spans are fixed, or the checkpoint is older.
nlohmann::ordered_json span_health(const LoadedModel& loaded);

/// As a table, a head a line.
std::string span_health_text(const nlohmann::ordered_json& health);

}  // namespace adaspan
