// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// y[..., :] = table[ids[...], :]
///   table [V,H], ids [...] int32 -> y [..., H] of `type`, f32 or bf16
/// Throws Error when an id is not in [0, V).
Variable embedding(Tape& tape, const Variable& table, const Tensor& ids, DType type = DType::f32);

}  // namespace adaspan
