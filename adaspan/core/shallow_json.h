// SPDX-License-Identifier: MIT
// JSON from outside that is going to be copied, compared or written: all of these recurse.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace adaspan {

/// The value of `text`; is_discarded() when it is no JSON, or nests so deep that using it could
/// exhaust the stack.
nlohmann::ordered_json shallow_json(std::string_view text);

}  // namespace adaspan
