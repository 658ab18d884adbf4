// SPDX-License-Identifier: MIT
#include "adaspan/core/shallow_json.h"

#include <nlohmann/json.hpp>

namespace adaspan {

nlohmann::ordered_json shallow_json(std::string_view text) {
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
