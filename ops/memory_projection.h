// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "autograd/tape.h"

namespace adaspan {

/// Keys or values of a layer's memory, for each head only as far back as it looks:
///   y_h = memory[C - reach_h .. C-1] w_h^T,   w_h the D rows of w that belong to head h
///   memory [C,B,H], w [H,H], K reaches -> y [sum of reaches, B, D], one head after another
/// The memory is past input: no gradient goes into it, but w gets its share.
/// Throws Error when the shapes do not fit or a reach is not in [0, C].
Variable memory_projection(Tape& tape, const Value& memory, const Variable& w,
                           const std::vector<int64_t>& reaches);

}  // namespace adaspan
