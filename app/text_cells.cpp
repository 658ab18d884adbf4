// SPDX-License-Identifier: MIT
#include "app/text_cells.h"

#include "adaspan/train/data/utf8.h"

namespace adaspan {
namespace {

constexpr const char* kNewline = "\u21b5";    // an arrow that turns back
constexpr const char* kInvisible = "\u00b7";  // a dot in the middle

/// Terminals give Chinese, Japanese and Korean signs and pictures two columns, and marks that
/// combine with the sign before them none.
int64_t columns_of(uint32_t code) {
  if (code >= 0x300 && code < 0x370) return 0;
  const bool wide = (code >= 0x1100 && code < 0x1160) || (code >= 0x2e80 && code < 0xd7a4) ||
                    (code >= 0xf900 && code < 0xfb00) || (code >= 0xff00 && code < 0xff61) ||
                    code >= 0x1f300;
  return wide ? 2 : 1;
}

/// What `text`, a character or a word, looks like.
void show(TextCell& cell) {
  cell.columns = 0;
  for (std::string_view rest = cell.text; !rest.empty();) {
    const Character c = first_character(rest);
    const bool seen = c.code && *c.code >= ' ' && (*c.code < 0x7f || *c.code >= 0xa0);
    cell.shown += seen              ? std::string(rest.substr(0, c.bytes))
                  : rest[0] == '\n' ? kNewline
                                    : kInvisible;
    cell.columns += seen ? columns_of(*c.code) : 1;
    rest.remove_prefix(c.bytes);
  }
}

}  // namespace

std::vector<TextCell> text_cells(std::span<const int32_t> ids, const Vocabulary& vocabulary,
                                 TextFormat format) {
  std::vector<TextCell> cells;
  if (format == TextFormat::words) {
    for (size_t i = 0; i < ids.size(); ++i) {
      cells.push_back(
          {.first = static_cast<int64_t>(i), .text = std::string(vocabulary.text(ids[i]))});
    }
  } else {  // a token is a byte
    std::string bytes;
    for (const int32_t id : ids) bytes += vocabulary.text(id);
    for (size_t i = 0; i < bytes.size();) {
      const size_t length = first_character(std::string_view(bytes).substr(i)).bytes;
      cells.push_back({.first = static_cast<int64_t>(i),
                       .tokens = static_cast<int64_t>(length),
                       .text = bytes.substr(i, length)});
      i += length;
    }
  }
  for (TextCell& cell : cells) show(cell);
  return cells;
}

}  // namespace adaspan
