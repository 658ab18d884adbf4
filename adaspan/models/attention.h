// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <adaspan/models/memory_cache.h>
#include <adaspan/models/positions.h>
#include <adaspan/models/span.h>
#include <adaspan/ops/dropout.h>

namespace adaspan {

/// What attention is computed from.
struct AttentionInputs {
  Variable x;                       ///< [M,B,H]: the block
  const LayerMemory& memory;        ///< C steps before it
  const LayerSpans& spans;          ///< which of these steps each query sees
  const BlockPositions& positions;  ///< what it is told of where they stand
  Dropout dropout;                  ///< of the attention weights
};

/// How a layer's steps look at those before them.
class Attention {
 public:
  virtual ~Attention() = default;
  /// residual + attention(x)
  ///   residual like x: [M,B,H] -> [M,B,H]
  virtual Variable forward(Tape& tape, const AttentionInputs& inputs,
                           const Variable& residual) const = 0;
};

/// Attention of the configuration's kind, of layer `layer`: multi-head attention over spans, with
/// memory c (q = Wq x, k = Wk [c;x], v = Wv [c;x], out = Wo [heads]; no biases). Where the model
/// has P persistent vectors, each head also sees keys sqrt(D) n_j and values sqrt(P) u_j, n and u
/// being parameters that start as N(0, 1/D) and N(0, 1/P) (Sukhbaatar et al. 2019b, section 3).
std::unique_ptr<Attention> make_attention(const ModelConfig& config, ParameterStore& store,
                                          int64_t layer);

}  // namespace adaspan
