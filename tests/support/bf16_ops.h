// SPDX-License-Identifier: MIT
// Ops that change the type of a value, to run an op in bf16 on inputs and cotangents that are f32:
//   run_op([&](Tape& tape, const Variables& x) {
//     return widened(tape, op(tape, narrowed(tape, x[0])));
//   }, {x})
// With inputs that are bf16 numbers (on_bf16_grid) both runs see the same values.
#pragma once

#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/core/cpu.h>

namespace adaspan {

inline bool bf16_can_run() {
  return bf16_obstacle().empty();
}
/// The types that products can be tested with on this processor.
inline std::vector<DType> types_that_run() {
  return bf16_can_run() ? std::vector{DType::f32, DType::bf16} : std::vector{DType::f32};
}

/// x in bf16; its gradient is widened.
inline Variable narrowed(Tape& tape, const Variable& x) {
  return tape.record("narrowed", {x}, x.value().converted(DType::bf16),
                     [dx = x.grad()](const Tensor& dy) { dx.add(dy.converted(DType::f32)); });
}

/// x in f32; its gradient is rounded.
inline Variable widened(Tape& tape, const Variable& x) {
  return tape.record("widened", {x}, x.value().converted(DType::f32),
                     [dx = x.grad()](const Tensor& dy) { dx.add(dy.converted(DType::bf16)); });
}

/// Each value rounded to one that bf16 has, in f32.
inline Tensor on_bf16_grid(const Tensor& x) {
  return x.converted(DType::bf16).converted(DType::f32);
}

}  // namespace adaspan
