// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/ops/process.h>
#include <adaspan/train/run/loaded_model.h>

#include "app/output.h"

namespace adaspan::cli {

struct EvaluationArguments {
  std::string checkpoint;
  Weights weights = Weights::last, of_other = Weights::last;
  std::string data;  ///< the checkpoint's own corpus where it is empty
  Part part = Part::test;
  Protocol protocol = Protocol::exact;
  EvaluationShape shape;
  std::string against;  ///< another checkpoint; none where it is empty
};

/// Evaluates a checkpoint on a part of a corpus, and another one beside it: one result.
void print_evaluation(Output& output, const Process& process, const EvaluationArguments& arguments);

}  // namespace adaspan::cli
