// SPDX-License-Identifier: MIT
// How far each head of a layer looks back, and who decides: nobody (fixed), a learned number of the
// head (adaptive, paper section 2.1), or the head and the token (dynamic, paper section 2.2).
// adaspan/ops/span_mask.h has the mask that turns a span z into weights, and the table of the
// numbers that tell how far a head looks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

/// How far the heads of one layer look back in one block.
struct LayerSpans {
  Variable z;                         ///< [K] (adaptive) or [M,B,K] (dynamic), f32; absent: all S
  Variable price;                     ///< [1]: the mean of z, which the span loss sums; absent: 0
  std::vector<float> mean_z;          ///< of each head, in steps; S where z is absent
  std::vector<float> widest_z;        ///< the largest of each head: what memory and work go by
  std::vector<int64_t> effective;     ///< E of each head, from its largest z
  std::vector<int64_t> memory_steps;  ///< of each head: how far back into C steps any query sees
  int64_t memory_length = 0;          ///< steps to keep for the next block
};

/// d(loss)/dz of each head, from that of a layer's z, [K] or [M,B,K]: of dynamic spans the sum over
/// all tokens, which is what a head's spans feel when all of them grow by a step.
std::vector<double> gradient_by_head(const Tensor& dz);

/// What decides which of the steps before it a query may see.
class Span {
 public:
  virtual ~Span() = default;

  /// The spans of a layer for one block, from its input x [M,B,H], with C steps of memory.
  virtual LayerSpans of(Tape& tape, const Variable& x, int64_t C) const = 0;

  /// The parameter [K,1,1] that holds the ratios z / S, in [0, 1]; null unless they are learned.
  virtual Parameter* ratio() const { return nullptr; }
};

/// The span of layer `layer`, of the configuration's kind.
std::unique_ptr<Span> make_span(const ModelConfig& config, ParameterStore& store, int64_t layer);

/// The name of the parameter of a layer that holds its ratios.
std::string span_ratio_name(int64_t layer);

/// z of each layer and head before the first step, in steps.
std::vector<std::vector<float>> starting_spans(const ModelConfig& config);

/// Steps of memory that a layer keeps for its next block, `widest` being its largest z: S, or with
/// cache adaptation (as the reference does) min(S, W + 64), W = S - 64 floor(min(S-1, S - reach) /
/// 64); S where spans are not adaptive.
int64_t memory_length(const ModelConfig& config, float widest);

}  // namespace adaspan
