// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/core/shape.h>

namespace adaspan {

/// Rows of a linear layer's weight: weight [out_i, in], bias [out_i], both f32.
struct LinearPart {
  Variable weight, bias;
};

/// In place of a target: a row without one, whose loss and gradients are 0.
inline constexpr int32_t kNoTarget = -1;

/// The negative log-likelihood of each row's target, in nats, under the softmax of a linear layer:
///   loss_r = log(sum_v e^y_rv) - y_{r,target_r},   y = x w^T + b
///   x [..., in], f32 or bf16; parts stacked on each other: w [V, in], b [V]
///   targets [...] int32 -> loss [...] f32
/// Like linear and cross_entropy, but no more than a piece of y is ever there: it is made and
/// consumed piece by piece, and once more in the backward pass, so that memory does not grow with V
/// (linear_cross_entropy_workspace, ops/workspace.h).
/// Throws Error when shapes or types do not fit or a target is neither in [0, V) nor kNoTarget.
Variable linear_cross_entropy(Tape& tape, const Variable& x, const std::vector<LinearPart>& parts,
                              const Tensor& targets);

/// How y is cut: into groups of rows, one after another; within a group into chunks of columns, one
/// after another; within a chunk, threads share the rows. All by the sizes alone.
struct LogitPieces {
  int64_t rows_per_group;     ///< bounds the gradient of x that is summed in f32
  int64_t rows_per_piece;     ///< of the backward pass, as RowSums wants them
  int64_t columns_per_chunk;  ///< bounds y, and the sums of a weight's gradient
  /// Of the forward pass, whose piece stays in cache.
  static constexpr int64_t kForwardColumns = 1024;
  static constexpr int64_t kForwardRows = 128;
};
LogitPieces logit_pieces(int64_t rows, int64_t in);

}  // namespace adaspan
