// SPDX-License-Identifier: MIT
// Whole numbers out of JSON.
#pragma once

#include <cstdint>
#include <string>

#include <adaspan/core/error.h>

namespace adaspan {

/// The number at `key` of a JSON object. Throws Error when it is not a whole one (get() would take
/// any number, and what it makes of a large one is undefined), and what at() throws when there is
/// none.
template <class Json>
int64_t whole_number(const Json& object, const char* key) {
  const Json& value = object.at(key);
  require(value.is_number_integer(), "expected a whole number for \"{}\"; got {}", key,
          value.is_primitive() ? value.dump() : std::string(value.type_name()));
  return value.template get<int64_t>();
}

}  // namespace adaspan
