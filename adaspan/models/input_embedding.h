// SPDX-License-Identifier: MIT
// From the ids of a block to the first layer's input.
#pragma once

#include <memory>
#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/models/clusters.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

class InputEmbedding {
 public:
  virtual ~InputEmbedding() = default;

  /// The vector of each token, of the configuration's precision:
  ///   ids [M,B] int32 -> [M,B,H]
  /// Throws Error when an id is not in [0, V).
  virtual Variable forward(Tape& tape, const Tensor& ids) const = 0;

  /// The parameters of each cluster, for an output that shares them; none without clusters.
  virtual std::vector<ClusterTables> tables() const { return {}; }
};

/// The embedding of the configuration's kind:
///   one table:  e = E[x], E ~ N(0, 1)
///   adaptive:   e = sqrt(H) E_i[x] P_i^T for x of cluster i, E_i ~ N(0, 1),
///               P_i ~ U(-1/sqrt(d_i), 1/sqrt(d_i)); clusters without a token in the block get
///               gradients of zero rather than none, so that optimizers treat all alike
std::unique_ptr<InputEmbedding> make_input_embedding(const ModelConfig& config,
                                                     ParameterStore& store);

}  // namespace adaspan
