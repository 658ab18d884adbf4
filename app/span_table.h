// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adaspan {

/// A table of every head's reach (adaspan/ops/span_mask.h), from its z: one line per layer.
std::string span_table(const std::vector<std::vector<float>>& spans, int64_t ramp,
                       int64_t span_limit);

}  // namespace adaspan
