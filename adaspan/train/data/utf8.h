// SPDX-License-Identifier: MIT
// Characters of a text that may or may not be UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace adaspan {

struct Character {
  size_t bytes;
  std::optional<uint32_t> code;  ///< none for a byte that is not UTF-8
};

/// The first character of `text`, which is not empty.
Character first_character(std::string_view text);

/// `text` with what is not visible, or not UTF-8, escaped as \xNN.
std::string visible(std::string_view text);

}  // namespace adaspan
