// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// Softmax over the last axis, with an optional soft mask (paper, equation 5):
///   y = m e^x / sum(m e^x)
///   x [..., E], m [..., E] like x, or [1, E] for all rows, or absent (1) -> y [..., E]
/// An m below 2^-50 is 0; there x changes nothing, even if it is no number, and the gradient of m
/// is that of an e^x / sum(m e^x) of at most 2^26. A row of such m gives zeros. Throws Error when
/// shapes or types do not fit.
Variable softmax(Tape& tape, const Variable& x, const Variable& mask = {});

}  // namespace adaspan
