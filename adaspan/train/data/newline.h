// SPDX-License-Identifier: MIT
// The two readings of enwik8 and text8 in the literature. Sukhbaatar et al. keep the ends of lines
// as a token; Dai et al. (Transformer-XL) drop them, and predict a text that has none: other
// tokens, and so scores that are not comparable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <adaspan/train/data/text_format.h>

namespace adaspan {

/// What becomes of the ends of lines:
///   keep  what the format says
///   drop  enwik8: there are none. text8: there are none, and no end of the text; of the white
///         space, spaces alone are tokens, and those at both ends of a part are none.
enum class Newline { keep, drop };

/// "keep", "drop"
const char* name(Newline newline);
/// The one of that name. Throws Error when there is none.
Newline newline_of(std::string_view name);

/// How a text becomes tokens.
struct Reading {
  TextFormat format = TextFormat::bytes;
  Newline newline = Newline::keep;
};

/// "enwik8, newlines dropped": whose losses are not comparable with those of another one.
std::string text_of(const Reading& reading);

/// Whether one more end of a line follows `text` when it is a whole part of a corpus. Where
/// newlines are kept: always for text8, after an unterminated last line for enwik8 and words, never
/// for bytes; else never. The text's last byte is enough to tell.
bool ends_with_added_line(std::string_view text, const Reading& reading);

/// A text that comes in blocks, handed on without what Newline::drop drops.
class WithoutNewlines {
 public:
  explicit WithoutNewlines(TextFormat format) : trims_(format == TextFormat::text8) {}

  /// Calls visit(piece), of at least one byte, for what is left of the block.
  template <class Visit>
  void add(std::string_view block, const Visit& visit) {
    kept_.clear();
    for (const char c : block) add(c);
    if (!kept_.empty()) visit(std::string_view(kept_));
  }

 private:
  void add(char c) {
    if (!trims_) {
      if (c != '\n') kept_ += c;
      return;
    }
    if (c == ' ') {
      spaces_ += begun_;
    } else if (!is_space(c)) {
      kept_.append(spaces_, ' ');
      kept_ += c;
      spaces_ = 0;
      begun_ = true;
    }
  }

  bool trims_;
  bool begun_ = false;     // a byte that is no white space has come
  uint64_t spaces_ = 0;    // that may turn out to be the last ones
  std::string kept_ = {};  // of this block
};

}  // namespace adaspan
