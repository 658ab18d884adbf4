// SPDX-License-Identifier: MIT
// A text's tokens as something to point at: characters, or words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

struct TextCell {
  int64_t first = 0;      ///< its first token
  int64_t tokens = 1;     ///< more than one for a character of several bytes
  std::string text = {};  ///< its bytes, UTF-8 or not
  std::string shown =
      {};  ///< one that can be seen: signs in the place of newlines, bytes and controls
  int64_t columns = 1;  ///< of a terminal, that `shown` takes
};

/// The cells of `ids`; all tokens are in one.
std::vector<TextCell> text_cells(std::span<const int32_t> ids, const Vocabulary& vocabulary,
                                 TextFormat format);

}  // namespace adaspan
