// SPDX-License-Identifier: MIT
// Any text as ids of a vocabulary that may not have all of it, line by line.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <adaspan/train/data/newline.h>
#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

/// A line of the text, its newline included.
struct TextLine {
  int64_t begin = 0, end = 0;  ///< its ids: [begin, end)
  std::string_view text;       ///< of the text that was given
  int64_t unknown = 0;         ///< characters or words of it that the vocabulary does not have
};

struct LinedText {
  std::vector<int32_t> ids;
  /// Of each id: the bytes of the text that it stands for. To a word belongs the white space after
  /// it, and before it at the start of a line; to an end of a line that was added, and to one that
  /// is context alone, nothing.
  std::vector<uint32_t> bytes;
  std::vector<TextLine> lines;
  bool line_end_added = false;   ///< after the text, as `prepare` does
  bool line_end_before = false;  ///< before the ids of each line there is an end of a line
};

/// What the vocabulary does not have is left out and counted: a word, or a character with any byte
/// that is not there. Where <unk> stands for unknown words it takes their place, and is counted,
/// too. What the reading drops is neither there nor unknown. `each_alone`: each line's ids begin
/// with the token that ends a line, if there is one, as context for the first of its own. The text
/// must stay.
LinedText encode_lines(std::string_view text, const Vocabulary& vocabulary, const Reading& reading,
                       bool each_alone);

}  // namespace adaspan
