// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <vector>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// Some steps of a value [n,B,H], the input of a layer in an earlier block.
struct MemorySegment {
  Value value;
  int64_t begin = 0;
  int64_t steps = 0;  ///< begin .. begin+steps-1
};

/// Keys and values of a layer's memory, for each head only as far back as it looks:
///   y_h = memory[C - steps_h .. C-1] [wk_h; wv_h]^T,   wk_h, wv_h the D rows that belong to head h
///   memory: segments of C steps in all, oldest first, at least one (perhaps of no steps), f32 or
///   bf16; wk, wv [H,H]; K memory steps -> y [sum of memory steps, B, 2D], one head after another
/// y has the type of the memory, or is f32 from a memory in bf16 if `type` says so: all is then
/// computed in f32, from the memory's rounded values.
/// Where one segment ends and the next begins changes no bit. The memory is past input: no gradient
/// goes into it, but wk and wv get their share.
/// Throws Error when the shapes or types do not fit or a number of steps is not in [0, C].
Variable memory_projection(Tape& tape, const std::vector<MemorySegment>& memory, const Variable& wk,
                           const Variable& wv, const std::vector<int64_t>& memory_steps,
                           std::optional<DType> type = {});

}  // namespace adaspan
