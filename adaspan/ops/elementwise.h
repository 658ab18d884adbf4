// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// y = a + b, of one shape and type, f32 or bf16. Throws Error when these differ.
Variable add(Tape& tape, const Variable& a, const Variable& b);

// These are of f32 values; they throw Error for another type.

/// y = factor x
Variable scale(Tape& tape, const Variable& x, float factor);

/// y = 1 / (1 + e^-x)
Variable sigmoid(Tape& tape, const Variable& x);

/// y = the mean of all elements of x, a scalar of shape [1]
Variable mean(Tape& tape, const Variable& x);

}  // namespace adaspan
