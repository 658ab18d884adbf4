// SPDX-License-Identifier: MIT
// What to tell of a trained model: how well it predicts the test text, next to what general
// compressors need for the same text, how far its heads look, and what it writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace adaspan {

/// Prints the report on the checkpoint; on the corpus it was trained on, or on another of the same
/// vocabulary at `data`. Throws Error as loading and evaluating do.
void print_report(const std::filesystem::path& checkpoint, const std::string& data);

/// A table of every head's reach (adaspan/ops/span_mask.h), from its z: one line a layer.
std::string span_table(const std::vector<std::vector<float>>& spans, int64_t ramp,
                       int64_t span_limit);

}  // namespace adaspan
