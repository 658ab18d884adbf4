// SPDX-License-Identifier: MIT
// What to tell of a trained model: how well it predicts the test text, next to what general
// compressors need for the same text, how far its heads look, and what it writes.
#pragma once

#include <string>
#include <vector>

#include <adaspan/train/run/loaded_model.h>

#include "app/token_cost.h"

namespace adaspan {

/// What a compressor makes of the test text.
struct Yardstick {
  std::string command;
  double bpc;  ///< bits per token of the text, whatever a token is; 0 if it is not installed
};

inline constexpr int64_t kSampleLength = 300;  ///< tokens

struct Report {
  PartEvaluation test;
  TokenCost cost;                     ///< of a token of the test text
  std::vector<Yardstick> yardsticks;  ///< none where losses are shown as perplexities
  std::string sample;                 ///< what it writes after the first token of the test text
};

/// Evaluates the model on the test part of a corpus; writes nothing. Throws Error as evaluating
/// does.
Report report_on(const LoadedModel& loaded, const Corpus& corpus);

}  // namespace adaspan
