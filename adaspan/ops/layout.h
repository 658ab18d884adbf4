// SPDX-License-Identifier: MIT
// Parts of a value, and values put side by side; every result is a copy.
#pragma once

#include <vector>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// y = the values of x under another shape. Throws Error when the number of elements differs.
Variable reshape(Tape& tape, const Variable& x, const Shape& shape);

/// y [..., width] = columns begin .. begin+width-1 of x [..., n]
/// Throws Error when they are not all there.
Variable slice_columns(Tape& tape, const Variable& x, int64_t begin, int64_t width);

/// y [count, ...] = steps begin .. begin+count-1 of the first axis of x [n, ...]
/// Throws Error when they are not all there.
Variable slice_steps(Tape& tape, const Variable& x, int64_t begin, int64_t count);

/// The columns of several values, alike in all other axes, side by side.
Variable concat_columns(Tape& tape, const std::vector<Variable>& parts);

/// The steps (first axis) of several values, alike in all other axes, one after another.
Variable concat_steps(Tape& tape, const std::vector<Variable>& parts);

}  // namespace adaspan
