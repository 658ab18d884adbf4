// SPDX-License-Identifier: MIT
// Text to corpus, once: the text is cut into parts, its tokens numbered, and both kept in a folder
// that Corpus opens.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include <adaspan/train/data/corpus_record.h>

namespace adaspan {

struct PrepareOptions {
  TextFormat format = TextFormat::bytes;
  VocabularyOrder order = VocabularyOrder::first_seen;
  std::filesystem::path input;  ///< the whole text; with `valid` and `test`, the training part
  std::filesystem::path valid;  ///< empty unless the text comes in three files
  std::filesystem::path test;
  std::filesystem::path out;     ///< made if it is not there
  Split split{0.9, 0.05, 0.05};  ///< of `input`
};

struct PrepareReport {
  bool up_to_date = false;  ///< the folder already held this corpus: nothing was done
  int64_t vocabulary_size = 0;
  std::array<int64_t, 3> tokens{};  ///< of each part
  /// How many tokens of the vocabulary each part was the first to have. Those that the training
  /// part does not have, no model will learn.
  std::array<int64_t, 3> new_tokens{};
};

/// Prepares options.input in options.out. The text is any bytes, UTF-8 or not, and is cut at
/// floor(fraction * size), for words after the line that this is in. A folder that already holds
/// this corpus is left as it is.
///
/// Throws Error when a text is missing or empty, the split has a negative part or does not add to
/// 1, a part has no text, only one of valid and test is given, or the folder cannot be written.
/// Then an older corpus in the folder is still whole, unless the very last step failed;
/// Corpus::open tells.
PrepareReport prepare_corpus(const PrepareOptions& options);

}  // namespace adaspan
