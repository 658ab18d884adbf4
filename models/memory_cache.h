// SPDX-License-Identifier: MIT
// What each layer remembers of the blocks before: its own inputs, the newest C of them (Dai et al.
// 2019). They are values, not variables: no gradient flows into the past.
#pragma once

#include <vector>

#include "autograd/variable.h"

namespace adaspan {

/// One [C,B,H] for each layer; C grows from 0 at the start of a stream. Steps before that are zeros
/// that need no storage.
using Memory = std::vector<Value>;

Memory empty_memory(int64_t layers, int64_t B, int64_t H);

/// The last `length` steps of memory [C,B,H] followed by x [M,B,H]; fewer if there are fewer.
Value extend_memory(const Value& memory, const Value& x, int64_t length);

}  // namespace adaspan
