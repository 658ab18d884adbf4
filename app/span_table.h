// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adaspan {

/// Of each layer and head, in tokens.
using Reaches = std::vector<std::vector<int64_t>>;

/// Every head's reach (adaspan/ops/span_mask.h), from its z.
Reaches reaches_of(const std::vector<std::vector<float>>& spans, int64_t ramp, int64_t span_limit);

/// One line per layer.
std::string span_table(const Reaches& reaches);

}  // namespace adaspan
