// SPDX-License-Identifier: MIT
// Holds an op in bf16 against the same op in f32, and runs tests at every instruction level.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <adaspan/core/cpu.h>
#include "tests/support/gradient_check.h"

namespace adaspan {

/// Calls body() with each instruction level of this processor set; the best one is set after.
template <class Body>
void at_each_level(const Body& body) {
  for (Isa level : {Isa::plain, Isa::avx2, Isa::avx512, Isa::amx}) {
    if (level > best_isa()) break;
    set_isa(level);
    INFO("level ", std::string(name(level)));
    body();
  }
  set_isa(best_isa());
}

/// Norm-wise and relative bound for values that an op computes in f32 and rounds once to bf16. The
/// spacing of bf16 numbers in [1, 2) is 2^-7: rounding errors are uniform in +-2^-8, of root mean
/// square 2^-8 / sqrt(3), next to numbers of root mean square sqrt(7/3): 0.38 * 2^-8. Cutting off
/// instead of rounding would make twice that.
inline constexpr double kBf16Bound = 0x1p-9;

/// x rounded to bf16.
inline Tensor to_half(const Tensor& x) {
  return x.converted(DType::bf16);
}

/// Fails the running test unless `op` makes of its inputs, those of type bf16 being activations,
/// what it makes of the same numbers in f32: y and gradients have the type they should (y that of
/// `y_type`, gradients that of their input); those of bf16 are within `bound` of those in f32,
/// those of f32 within 1e-5 (see CheckOptions). At every instruction level, for 1, 2 and 3 threads.
void check_bf16(const Op& op, const std::vector<Tensor>& inputs, DType y_type = DType::bf16,
                double bound = kBf16Bound);

}  // namespace adaspan
