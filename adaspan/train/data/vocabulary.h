// SPDX-License-Identifier: MIT
// The tokens of a corpus and their ids, 0 .. size()-1. On disk (vocab.txt) one token per line, in
// the order of the ids: visible ASCII stands for itself, any other byte and the backslash are
// written \xNN, and <eol> is the end of a line (a word of that text is written \x3ceol>).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <adaspan/train/data/text_format.h>

namespace adaspan {

class Vocabulary {
 public:
  /// No tokens.
  Vocabulary();
  /// Reads the content of a vocab.txt. Throws Error when a line is empty, is there twice, has a bad
  /// escape or is cut short.
  static Vocabulary parse(std::string_view file_text);
  /// The content of vocab.txt.
  std::string file_text() const;
  /// SHA-256 of file_text(): corpora of one hash give every token the same id.
  std::string hash() const;

  /// Every byte, id = byte.
  static Vocabulary of_bytes();

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  /// Throws Error when there is no such id. The views last as long as the vocabulary is unchanged.
  Token token(int32_t id) const;
  /// The bytes to print for `id`: "\n" for the end of a line. Throws Error as token() does.
  std::string_view text(int32_t id) const { return token(id).bytes; }

  /// The token of exactly these bytes, if there is one. "\n" is the end of a line, unless the
  /// newline byte is itself a token (bytes, text8).
  std::optional<int32_t> find(std::string_view bytes) const;
  std::optional<int32_t> end_of_line() const { return end_of_line_; }
  /// The id of exactly this token, if it is known.
  std::optional<int32_t> find(const Token& token) const;
  /// The id of `token`, which becomes the last one if it is new.
  int32_t add(const Token& token);

  /// Makes <unk>, which is added if it is new, stand for all words that are not known.
  void add_unknown() { unknown_ = add(kUnknown); }
  /// The id of the token that stands for words that are not known, if there is one.
  std::optional<int32_t> unknown() const { return unknown_; }

  /// The text of `ids`: that which they were made from, but words are joined by one space, with
  /// none around newlines. Throws Error when there is no such id.
  std::string decode(std::span<const int32_t> ids, TextFormat format) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::vector<std::string> tokens_;
  std::optional<int32_t> end_of_line_, unknown_;
  std::array<int32_t, 256> ids_of_bytes_;  // tokens of one byte; -1 where there is none
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;  // longer ones
};

}  // namespace adaspan
