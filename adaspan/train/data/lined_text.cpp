// SPDX-License-Identifier: MIT
#include "adaspan/train/data/lined_text.h"

#include <algorithm>
#include <array>

#include "adaspan/train/data/utf8.h"

namespace adaspan {
namespace {

/// The text without what Newline::drop drops at the ends of a part of text8.
std::string_view trimmed(std::string_view text, const Reading& reading) {
  if (reading.newline == Newline::keep || reading.format != TextFormat::text8) return text;
  const auto first = std::find_if_not(text.begin(), text.end(), is_space);
  const auto last = std::find_if_not(text.rbegin(), text.rend(), is_space).base();
  return first < last ? std::string_view(first, last) : std::string_view();
}

class Encoder {
 public:
  Encoder(std::string_view text, const Vocabulary& vocabulary, const Reading& reading)
      : vocabulary_(vocabulary), reading_(reading), kept_(trimmed(text, reading)) {
    for (size_t byte = 0; byte < ids_of_bytes_.size(); ++byte) {
      const char c = static_cast<char>(byte);
      for_each_token({&c, 1}, reading.format, [&](const Token& token) {
        ids_of_bytes_[byte] = vocabulary.find(token).value_or(-1);
      });
    }
  }

  void add_line(std::string_view line, std::optional<int32_t> context) {
    TextLine& added = result_.lines.emplace_back();
    added.text = line;
    added.begin = size();
    if (context) add(*context, 0);
    reading_.format == TextFormat::words ? add_words(added) : add_characters(added);
    added.end = size();
  }

  void add_line_end() {
    const std::optional<int32_t> id = vocabulary_.end_of_line();
    if (!id || result_.lines.empty()) return;
    add(*id, 0);
    result_.lines.back().end = size();
    result_.line_end_added = true;
  }

  LinedText take() { return std::move(result_); }

 private:
  int64_t size() const { return static_cast<int64_t>(result_.ids.size()); }
  void add(int32_t id, size_t bytes) {
    result_.ids.push_back(id);
    result_.bytes.push_back(static_cast<uint32_t>(bytes));
  }

  bool drops(const char* at) const {
    if (reading_.newline == Newline::keep) return false;
    if (reading_.format != TextFormat::text8) return *at == '\n';
    const bool inside = at >= kept_.data() && at < kept_.data() + kept_.size();
    return is_space(*at) && (*at != ' ' || !inside);
  }

  void add_characters(TextLine& line) {
    for (std::string_view left = line.text; !left.empty();) {
      const std::string_view character = left.substr(0, first_character(left).bytes);
      left.remove_prefix(character.size());
      if (drops(character.data())) continue;
      const auto id_of = [&](char c) { return ids_of_bytes_[static_cast<unsigned char>(c)]; };
      if (std::ranges::any_of(character, [&](char c) { return id_of(c) < 0; })) {
        ++line.unknown;
        continue;
      }
      for (const char c : character) add(id_of(c), 1);
    }
  }

  void add_words(TextLine& line) {
    struct Piece {
      int32_t id;
      size_t begin;  // in the line
    };
    std::vector<Piece> pieces;
    for_each_token(line.text, TextFormat::words, [&](const Token& token) {
      const std::optional<int32_t> known = vocabulary_.find(token);
      const std::optional<int32_t> unknown = vocabulary_.unknown();
      line.unknown += !known || known == unknown;
      const size_t begin = token.end_of_line
                               ? line.text.size() - 1
                               : static_cast<size_t>(token.bytes.data() - line.text.data());
      pieces.push_back({known ? *known : unknown.value_or(-1), begin});
    });
    for (size_t i = 0; i < pieces.size(); ++i) {
      const size_t begin = i == 0 ? 0 : pieces[i].begin;
      const size_t end = i + 1 < pieces.size() ? pieces[i + 1].begin : line.text.size();
      if (pieces[i].id >= 0) add(pieces[i].id, end - begin);
    }
  }

  const Vocabulary& vocabulary_;
  Reading reading_;
  std::string_view kept_;
  std::array<int32_t, 256> ids_of_bytes_;  // -1 for those that are not there
  LinedText result_;
};

}  // namespace

LinedText encode_lines(std::string_view text, const Vocabulary& vocabulary, const Reading& reading,
                       bool each_alone) {
  Encoder encoder(text, vocabulary, reading);
  std::optional<int32_t> context;
  if (each_alone) context = vocabulary.find(kEndOfLine.bytes);
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n') + 1);  // npos + 1: none
    const std::string_view whole = line.empty() ? left : line;
    encoder.add_line(whole, context);
    left.remove_prefix(whole.size());
  }
  if (!text.empty() && ends_with_added_line(text, reading)) encoder.add_line_end();
  LinedText result = encoder.take();
  result.line_end_before = context.has_value();
  return result;
}

}  // namespace adaspan
