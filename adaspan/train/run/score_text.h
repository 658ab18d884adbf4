// SPDX-License-Identifier: MIT
// What a model makes of any text: the loss of each of its lines and of the whole, by the exact
// protocol (exact_evaluation.h). Either memory passes from line to line, as in a part of a corpus;
// or each line is read from empty memory, after an end of a line where the vocabulary has one.
#pragma once

#include <string>
#include <string_view>

#include <adaspan/train/data/lined_text.h>
#include <adaspan/train/run/loaded_model.h>

namespace adaspan {

struct LineScore {
  int64_t bytes = 0;         ///< of the text, the newline included
  int64_t scored_bytes = 0;  ///< of them, those that the scored tokens stand for; 0 where newlines
                             ///< were dropped, and bytes are not what was predicted
  int64_t tokens = 0;        ///< scored
  int64_t unknown = 0;       ///< characters or words that the vocabulary does not have: not scored
  double nats = 0;           ///< sum of -log p over the scored tokens

  /// nats / (ln 2 * scored bytes); none where there are none.
  std::optional<double> bits_per_byte() const;
};

struct TextScore {
  LinedText text;
  std::vector<LineScore> lines;
  LineScore whole;
  int64_t not_scored = 0;  ///< known tokens of the text that had no context
  EvaluationPlan plan;
};

struct ScoreTextOptions {
  bool independent = false;  ///< each line from empty memory
  EvaluationShape shape = {};
};

/// The text must stay; `name` is for messages. Throws Error when there is no token to score, when
/// the loss is not finite, and as plan_exact does; OutOfMemory when there is not enough for it.
TextScore score_text(const LoadedModel& loaded, const Corpus& corpus, std::string_view text,
                     const std::string& name, const ScoreTextOptions& options = {});

}  // namespace adaspan
