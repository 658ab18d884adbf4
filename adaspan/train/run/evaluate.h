// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <vector>

#include <adaspan/models/transformer.h>
#include <adaspan/train/data/batches.h>

namespace adaspan {

inline constexpr int64_t kEvaluationBatch = 8;  ///< as in the reference's full evaluation

struct Evaluation {
  double loss = 0;                         ///< mean negative log-likelihood, nats
  int64_t tokens = 0;                      ///< predicted
  std::vector<std::vector<float>> mean_z;  ///< of each layer and head, in steps
};

/// Told the inputs and targets [M,B] of each block, and the targets' losses [M,B].
using TokenLossVisitor =
    std::function<void(const Tensor& inputs, const Tensor& targets, const Tensor& losses)>;

/// The next `blocks` blocks of a stream, going on from `memory` and leaving it as they do.
Evaluation evaluate(const Transformer& model, BlockReader& reader, int64_t blocks, Memory& memory);

/// The whole stream in B rows and contiguous blocks of M, from empty memory; the last partial block
/// is dropped. Throws Error when the stream has fewer than B (M+1) tokens.
/// With `visit` by the losses of the tokens, in double: the same but for rounding.
Evaluation evaluate(const Transformer& model, const TokenStream& stream, int64_t B, int64_t M,
                    const TokenLossVisitor& visit = {});

}  // namespace adaspan
