// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

inline constexpr float kLayerNormEpsilon = 1e-5f;

/// Layer normalisation (Ba, Kiros, Hinton 2016) over the last axis:
///   y = (x - mean) / sqrt(variance + 1e-5) * gain + bias
///   x [..., H] f32 or bf16, gain [H], bias [H] -> y [..., H] of the type of x
/// Throws Error when shapes or types do not fit.
Variable layer_norm(Tape& tape, const Variable& x, const Variable& gain, const Variable& bias);

}  // namespace adaspan
