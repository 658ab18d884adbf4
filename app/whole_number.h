// SPDX-License-Identifier: MIT
// Whole numbers out of what a person wrote.
#pragma once

#include <charconv>
#include <string>
#include <type_traits>

#include "adaspan/core/error.h"

namespace adaspan {

/// The number that `text` is. Throws Error, naming the flag `name`, when it is none that an Integer
/// can hold: a fraction, a word, one below 0 where it has no sign.
template <class Integer>
Integer whole_number(const std::string& name, const std::string& text) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  require(error == std::errc() && end == text.data() + text.size(),
          "[settings] expected --{} to be a whole number{}; got \"{}\"", name,
          std::is_unsigned_v<Integer> ? " of at least 0" : "", text);
  return number;
}

}  // namespace adaspan
