// SPDX-License-Identifier: MIT
// What `bench --profile` tells of where time goes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include <adaspan/core/profile.h>

namespace adaspan {

/// An object a kernel, and one for "the rest" of the `seconds` that were profiled: they add up.
nlohmann::ordered_json profile_rows(std::vector<ProfileRow> rows, double seconds);

}  // namespace adaspan
