// SPDX-License-Identifier: MIT
// A text for a model to go on from, as ids.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <adaspan/train/data/newline.h>
#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

/// What is done with what the vocabulary does not have: a word, or a character with any byte that
/// is not there.
enum class UnknownTokens {
  refuse,  ///< words become <unk> where the corpus was prepared so
  skip,
};

/// "refuse", "skip"
const char* name(UnknownTokens unknown);
/// The one of that name. Throws Error when there is none.
UnknownTokens unknown_tokens(std::string_view name);

struct Prompt {
  std::vector<int32_t> ids;
  int64_t skipped = 0;   ///< characters, or words, that were left out
  int64_t replaced = 0;  ///< words that became <unk>
  int64_t newlines = 0;  ///< that were dropped, as they were from the corpus
};

/// The ids of `text`; no end of a line is added after it, and where newlines are dropped nothing
/// else of it is. Throws Error, naming the first unknown word or character and its place, when
/// there is one to refuse, and when no known token is left.
Prompt encode_prompt(std::string_view text, const Vocabulary& vocabulary, const Reading& reading,
                     UnknownTokens unknown = UnknownTokens::refuse);

}  // namespace adaspan
