// SPDX-License-Identifier: MIT
// The first of the two readings of a text: which tokens it has, and how often, so that they can be
// numbered before any id is written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <adaspan/train/data/corpus_record.h>
#include <adaspan/train/data/source_text.h>
#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

using PartsOfText = std::array<PartOfText, 3>;

struct TokenCounts {
  /// In the order in which they were first seen, those of the training part first. For bytes, all
  /// 256 are there from the start.
  Vocabulary seen;
  int64_t of_training = 0;           ///< how many of `seen` come before those of other parts
  std::vector<int64_t> in_training;  ///< for each of `seen`, how often the training part has it
  std::vector<int64_t> in_all;       ///< and all parts together
  std::array<int64_t, 3> tokens{};   ///< in each part
};

/// Throws Error when a text changes meanwhile.
TokenCounts count_tokens(const PartsOfText& parts, const Reading& reading);

/// Numbers the tokens in `order`. With a `minimum_count`, <unk> takes the place of words that the
/// training part has fewer times, as if it stood in the text for them.
Vocabulary number_tokens(TokenCounts counts, VocabularyOrder order,
                         const std::optional<int64_t>& minimum_count);

}  // namespace adaspan
