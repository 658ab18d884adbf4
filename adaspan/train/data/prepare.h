// SPDX-License-Identifier: MIT
// Text to corpus, once: the text is cut into parts, its tokens numbered, and both kept in a folder
// that Corpus opens.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include <adaspan/train/data/corpus_record.h>

namespace adaspan {

struct PrepareOptions {
  TextFormat format = TextFormat::bytes;
  Newline newline = Newline::keep;
  std::optional<VocabularyOrder> order;  ///< if not given, usual_order(newline)
  std::filesystem::path input;  ///< the whole text; with `valid` and `test`, the training part
  std::filesystem::path valid;  ///< empty unless the text comes in three files
  std::filesystem::path test;
  std::filesystem::path out;     ///< made if it is not there
  Split split{0.9, 0.05, 0.05};  ///< of `input`
  /// For words: those that the training part has fewer times, and those of the other parts that it
  /// has not, become <unk>.
  std::optional<int64_t> minimum_count;
  /// Told every quarter of a megabyte how many bytes of how many have been read, of all readings.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct PrepareReport {
  bool up_to_date = false;  ///< the folder already held this corpus: nothing was done
  int64_t vocabulary_size = 0;
  std::array<int64_t, 3> tokens{};  ///< of each part
  /// How many tokens of the vocabulary each part was the first to have. Those that the training
  /// part does not have, no model will learn.
  std::array<int64_t, 3> new_tokens{};
  /// How many tokens of each part are <unk>, with a minimum_count.
  std::array<int64_t, 3> unknown{};
  bool lacks_bytes = false;  ///< up to date, but of the time when only the text's bytes had ids
};

/// Prepares options.input in options.out. The text is any bytes, UTF-8 or not, and is cut at
/// floor(fraction * size), for words after the line that this is in. It is read in blocks: memory
/// does not grow with it, but for words with their vocabulary. A folder that already holds this
/// corpus is left as it is.
///
/// Throws Error when a text is missing or empty or changes meanwhile, the split has a negative part
/// or does not add to 1, a part has no text, or none but newlines that are dropped, only one of
/// valid and test is given, newlines are to be dropped from bytes or words, minimum_count is below
/// 1 or not for words, another preparation is at work in the folder, or it cannot be written. Then
/// an older corpus in the folder is still whole, unless the very last step failed; Corpus::open
/// tells.
PrepareReport prepare_corpus(const PrepareOptions& options);

}  // namespace adaspan
