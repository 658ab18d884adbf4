// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adaspan {

/// A table of how far every head looks back, ceil(z) + R tokens at most S: one line per layer.
std::string span_table(const std::vector<std::vector<float>>& spans, int64_t ramp,
                       int64_t span_limit);

}  // namespace adaspan
