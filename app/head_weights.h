// SPDX-License-Identifier: MIT
// What one head of a trained model looks at, token by token: its attention weights, which the
// model's own kernels never keep. They are computed once more, in f32 and double, from the inputs
// of the head's layer:
//
//   a_tr = m_z(t-r-1) e^s_tr / (sum_r m_z(t-r-1) e^s_tr + sum_j e^s_tj)
//
// scores s and persistent vectors j as in adaspan/ops/span_attention.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <adaspan/models/decode/decoder_weights.h>
#include <adaspan/models/transformer.h>

namespace adaspan {

/// Where the weight of a query goes; all of it sums to 1, but where a query sees nothing at all
/// (the first one of a model that skips missing steps): there it is 0.
struct QueryWeights {
  std::vector<double> steps;       ///< of the steps at distance 1, 2, ... that the text has
  double before_start = 0;         ///< of the zeros before the text's start, together
  std::vector<double> persistent;  ///< of each persistent vector
};

/// z of a layer's heads for some of its inputs, [steps,K], in steps.
std::vector<float> spans_of_inputs(const Transformer& model, int64_t layer,
                                   std::span<const float> inputs);

/// Throws Error when the model has no such layer or head.
void check_head(const ModelConfig& config, int64_t layer, int64_t head);

/// One head reads a text from its start.
class HeadWeights {
 public:
  /// Throws Error as check_head does. The model must outlive it.
  HeadWeights(const Transformer& model, int64_t layer, int64_t head);

  /// The weights of the next tokens, from the inputs [steps,H] of the layer.
  std::vector<QueryWeights> read(std::span<const float> inputs);

 private:
  QueryWeights weights_of(int64_t t, std::span<const float> q, float z) const;
  void forget_unseen();

  const Transformer& model_;
  const ParametersByName parameters_;
  const int64_t layer_, head_, D_, S_;
  std::vector<std::vector<float>> keys_;  // [D][steps kept]: as positions lie, by component
  int64_t first_ = 0;                     // the step of the oldest key
  int64_t steps_ = 0;                     // steps read
};

}  // namespace adaspan
