// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/ops/process.h>
#include <adaspan/train/data/corpus.h>
#include <adaspan/train/run/checkpoint.h>

#include "app/output.h"

namespace adaspan::cli {

/// Evaluates such weights of a checkpoint on a part of its corpus, or of the one at `data`: one
/// result.
void print_evaluation(Output& output, const Process& process, const std::string& checkpoint,
                      const std::string& data, Part part, Weights weights = Weights::last);

}  // namespace adaspan::cli
