// SPDX-License-Identifier: MIT
// Some rows of a value taken out, worked on by themselves, and put back to their places: what a
// model needs that treats some tokens otherwise than others.
#pragma once

#include <vector>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// In a list of rows: a row of zeros when rows are taken, one that is left out when they are put.
/// With such rows at its end a part may have one of a few lengths, for which products are planned.
inline constexpr int32_t kNoRow = -1;

/// y[r] = x[rows[r]], or zeros for kNoRow
///   x [..., n], f32 or bf16, rows [k] int32 -> y [k,n] of x's type
/// Throws Error unless rows are distinct ones of x.
Variable gather_rows(Tape& tape, const Variable& x, const Tensor& rows);

/// y[rows_i[r]] = factor parts_i[r]; rows that no part has are zeros
///   parts_i [k_i, ...] of one type and alike in all axes but the first, rows_i [k_i] int32
///   -> y [leading, ...]
/// Throws Error unless all rows together are distinct ones of y, and there is a part.
Variable scatter_rows(Tape& tape, const std::vector<Variable>& parts,
                      const std::vector<Tensor>& rows, const Shape& leading, float factor = 1);

}  // namespace adaspan
