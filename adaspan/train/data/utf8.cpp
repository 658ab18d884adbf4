// SPDX-License-Identifier: MIT
#include "adaspan/train/data/utf8.h"

#include <fmt/format.h>

namespace adaspan {

Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {1, byte(0)};
  const size_t n = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || n > text.size()) return {1, {}};
  uint32_t code = byte(0) & (0x7fu >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {1, {}};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kLeast[n] || code > 0x10ffff || surrogate) return {1, {}};
  return {n, code};
}

std::string visible(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.code && *c.code >= ' ' && (*c.code < 0x7f || *c.code >= 0xa0)) {
      result += text.substr(0, c.bytes);
    } else {
      for (const char byte : text.substr(0, c.bytes)) {
        result += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
      }
    }
    text.remove_prefix(c.bytes);
  }
  return result;
}

}  // namespace adaspan
