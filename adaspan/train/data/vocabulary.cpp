// SPDX-License-Identifier: MIT
#include "adaspan/train/data/vocabulary.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "adaspan/core/error.h"
#include "adaspan/core/sha256.h"

namespace adaspan {
namespace {

constexpr std::string_view kEndOfLineName = "<eol>";

std::string escape(std::string_view bytes) {
  std::string result;
  for (const char c : bytes) {
    if (c > ' ' && c <= '~' && c != '\\')
      result += c;
    else
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string escape(const Token& token) {
  if (token.end_of_line) return std::string(kEndOfLineName);
  if (token.bytes == kEndOfLineName) return "\\x3ceol>";
  return escape(token.bytes);
}

std::string unescape(std::string_view line) {
  std::string result;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      result += line[i];
      continue;
    }
    const std::string_view escaped = line.substr(i, 4);
    unsigned char byte = 0;
    const char* end = escaped.data() + escaped.size();
    require(escaped.size() == 4 && escaped[1] == 'x' &&
                std::from_chars(escaped.data() + 2, end, byte, 16).ptr == end,
            "[vocabulary] expected \\xNN after a backslash; got the line \"{}\"; run `adaspan "
            "prepare` again",
            line);
    result += static_cast<char>(byte);
    i += 3;
  }
  return result;
}

}  // namespace

Vocabulary::Vocabulary() {
  ids_of_bytes_.fill(-1);
}

Vocabulary Vocabulary::parse(std::string_view file_text) {
  Vocabulary result;
  while (!file_text.empty()) {
    const size_t end = file_text.find('\n');
    const std::string_view line = file_text.substr(0, end);
    require(end != std::string_view::npos && !line.empty(),
            "[vocabulary] expected whole lines of one token each; got \"{}\" after {} of them; run "
            "`adaspan prepare` again",
            line, result.size());
    const int32_t next = static_cast<int32_t>(result.size());
    const int32_t id = result.add(line == kEndOfLineName ? kEndOfLine : Token{unescape(line)});
    require(id == next,
            "[vocabulary] expected distinct tokens; got \"{}\" twice; run `adaspan prepare` again",
            line);
    file_text.remove_prefix(end + 1);
  }
  return result;
}

Vocabulary Vocabulary::of_bytes() {
  Vocabulary result;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    result.add({{&c, 1}});
  }
  return result;
}

std::string Vocabulary::file_text() const {
  std::string result;
  for (int32_t id = 0; id < size(); ++id) (result += escape(token(id))) += '\n';
  return result;
}

std::string Vocabulary::hash() const {
  const std::string text = file_text();
  return sha256(std::as_bytes(std::span(text)));
}

Token Vocabulary::token(int32_t id) const {
  require(id >= 0 && id < size(),
          "[vocabulary] expected an id of 0 to {}; got {}; the ids belong to another corpus",
          size() - 1, id);
  return {tokens_[static_cast<size_t>(id)], id == end_of_line_};
}

std::optional<int32_t> Vocabulary::find(const Token& token) const {
  if (token.end_of_line) return end_of_line_;
  if (token.bytes.size() == 1) {
    const int32_t id = ids_of_bytes_[static_cast<unsigned char>(token.bytes[0])];
    return id >= 0 ? std::optional(id) : std::nullopt;
  }
  const auto found = ids_.find(token.bytes);
  return found != ids_.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<int32_t> Vocabulary::find(std::string_view bytes) const {
  const auto id = find(Token{bytes});
  return !id && bytes == kEndOfLine.bytes ? end_of_line_ : id;
}

int32_t Vocabulary::add(const Token& token) {
  if (const auto known = find(token)) return *known;
  const int32_t id = static_cast<int32_t>(tokens_.size());
  tokens_.emplace_back(token.bytes);
  if (token.end_of_line)
    end_of_line_ = id;
  else if (token.bytes.size() == 1)
    ids_of_bytes_[static_cast<unsigned char>(token.bytes[0])] = id;
  else
    ids_.emplace(token.bytes, id);
  return id;
}

std::string Vocabulary::decode(std::span<const int32_t> ids, TextFormat format) const {
  std::string result;
  for (const int32_t id : ids) {
    const Token next = token(id);
    const bool in_line = !result.empty() && result.back() != '\n' && !next.end_of_line;
    if (format == TextFormat::words && in_line) result += ' ';
    result += next.bytes;
  }
  return result;
}

}  // namespace adaspan
