// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/ops/dropout.h>

namespace adaspan {

enum class Activation { none, relu };

struct LinearOptions {
  Activation activation = Activation::none;
  Dropout dropout = {};            ///< after relu: the mask of op dropout; off at rate 0
  Variable residual = {};          ///< r, of y's shape and type, or absent
  std::optional<DType> type = {};  ///< of y; that of x if not given. bf16 x may give f32 y
};

/// y = dropout(f(x w^T + b + r)), f the identity or max(0, .), in one pass.
///   x [..., in], weights w of [out_i, in] stacked on each other: w [out, in], b [out] or absent
///   -> y [..., out]
/// x is f32 or bf16; weights and bias are f32 and are rounded to x's type. Sums are f32, and so are
/// the gradients of weights and bias.
/// Throws Error when shapes or types do not fit, for in = 0, for dropout without relu, and as op
/// dropout does.
Variable linear(Tape& tape, const Variable& x, const std::vector<Variable>& weights,
                const Variable& b = {}, const LinearOptions& options = {});
Variable linear(Tape& tape, const Variable& x, const Variable& w, const Variable& b = {},
                const LinearOptions& options = {});

/// y = x w
///   x [..., in], w [in, out] -> y [..., out] of x's type
/// x is f32 or bf16; w is f32 and is rounded to x's type. Sums are f32, and so is w's gradient.
/// Throws Error when shapes or types do not fit.
Variable matmul(Tape& tape, const Variable& x, const Variable& w);

}  // namespace adaspan
