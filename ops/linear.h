// SPDX-License-Identifier: MIT
#pragma once

#include "autograd/tape.h"

namespace adaspan {

enum class Activation { none, relu };

/// y = f(x w^T + b), f the identity or max(0, .).
///   x [..., in], w [out, in], b [out] or absent -> y [..., out]
/// Throws Error when the shapes do not fit.
Variable linear(Tape& tape, const Variable& x, const Variable& w, const Variable& b = {},
                Activation activation = Activation::none);

/// y = x w
///   x [..., in], w [in, out] -> y [..., out]
/// Throws Error when the shapes do not fit.
Variable matmul(Tape& tape, const Variable& x, const Variable& w);

}  // namespace adaspan
