// SPDX-License-Identifier: MIT
// JSON from outside that is going to be copied, compared or written: all of these recurse.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace adaspan {

/// The value of `text`; is_discarded() when it is no JSON, or nests so deep that using it could
/// exhaust the stack.
inline nlohmann::ordered_json shallow_json(std::string_view text) {
  using nlohmann::ordered_json;
  using Event = ordered_json::parse_event_t;
  constexpr int kDeepest = 64;
  bool deep = false;
  const auto watch = [&](int depth, Event event, const ordered_json&) {
    const bool begin = event == Event::array_start || event == Event::object_start;
    deep = deep || (begin && depth >= kDeepest);
    return !deep;
  };
  ordered_json json = ordered_json::parse(text, watch, /*allow_exceptions=*/false);
  if (deep) json = ordered_json::value_t::discarded;
  return json;
}

}  // namespace adaspan
