// SPDX-License-Identifier: MIT
// How a text becomes tokens. A token is a run of bytes, or the end of a line:
//   bytes    every byte is a token, the newline byte like any other
//   enwik8   every byte is a token, the newline byte ends a line
//   text8    every byte is a token; the only end of a line is the one after the text
//   words    runs of bytes between white space (ASCII); the newline byte ends a line
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace adaspan {

enum class TextFormat { bytes, enwik8, text8, words };

/// "bytes", "enwik8", "text8", "words"
const char* name(TextFormat format);
/// The format of that name. Throws Error when there is none.
TextFormat text_format(std::string_view name);

struct Token {
  std::string_view bytes;  ///< as printed; a newline for the end of a line
  bool end_of_line = false;
};

inline constexpr Token kEndOfLine{"\n", true};

/// The word that stands for rarer and unseen words where a corpus was prepared so.
inline constexpr Token kUnknown{"<unk>"};

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Calls visit(token) for the tokens of `text`, in order. Nothing is added after the last byte.
template <class Visit>
void for_each_token(std::string_view text, TextFormat format, const Visit& visit) {
  if (format != TextFormat::words) {
    const bool lines = format == TextFormat::enwik8;
    for (size_t i = 0; i < text.size(); ++i) {
      visit(lines && text[i] == '\n' ? kEndOfLine : Token{text.substr(i, 1)});
    }
    return;
  }
  size_t begin = 0;  // of the word that i is in
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !is_space(text[i])) continue;
    if (i > begin) visit(Token{text.substr(begin, i - begin)});
    if (i < text.size() && text[i] == '\n') visit(kEndOfLine);
    begin = i + 1;
  }
}

/// A text that comes in blocks, handed on in pieces that no word crosses.
class WholeWords {
 public:
  template <class Visit>
  void add(std::string_view block, const Visit& visit) {
    size_t end = block.size();  // after the last white space
    while (end > 0 && !is_space(block[end - 1])) --end;
    if (end > 0) {
      // The first piece of the block may go on with a word of the last one.
      const size_t first = std::find_if(block.begin(), block.end(), is_space) - block.begin() + 1;
      visit(std::string_view(begun_.append(block.substr(0, first))));
      begun_.clear();
      visit(block.substr(first, end - first));
    }
    begun_.append(block.substr(end));
  }
  /// The last word, if no white space follows it.
  template <class Visit>
  void finish(const Visit& visit) {
    visit(std::string_view(begun_));
    begun_.clear();
  }

 private:
  std::string begun_;  // a word whose end has not come
};

}  // namespace adaspan
