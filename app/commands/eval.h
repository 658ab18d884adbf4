// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/train/data/corpus.h>

namespace adaspan::cli {

/// Evaluates a checkpoint on a part of its corpus, or of the one at `data`, and prints one line of
/// JSON.
void print_evaluation(const std::string& checkpoint, const std::string& data, Part part);

}  // namespace adaspan::cli
