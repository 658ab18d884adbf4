// SPDX-License-Identifier: MIT
// From the last layer's output to what the model says of the next token.
#pragma once

#include <memory>

#include <adaspan/autograd/tape.h>
#include <adaspan/models/input_embedding.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

/// Owns the distribution over the vocabulary and its loss, so that none but a head needs a number
/// for every token of the vocabulary.
class OutputHead {
 public:
  virtual ~OutputHead() = default;

  /// The mean negative log-likelihood of the targets, in nats:
  ///   h [M,B,H], targets [M,B] int32 -> [1]
  /// Throws Error when a target is not in [0, V).
  virtual Variable loss(Tape& tape, const Variable& h, const Tensor& targets) const = 0;

  /// -log p of each target, in nats, without a gradient:
  ///   h [M,B,H], targets [M,B] int32 -> [M,B] f32
  /// Throws as loss does.
  virtual Tensor token_losses(const Variable& h, const Tensor& targets) const = 0;

  /// log p of each token of the vocabulary:
  ///   h [M,B,H] -> [M,B,V] f32, without a gradient
  virtual Tensor log_probabilities(const Variable& h) const = 0;
};

/// The head of the configuration's kind: softmax over the whole vocabulary, or an adaptive one
/// (models/adaptive_softmax.h), which may share parameters of `input`.
std::unique_ptr<OutputHead> make_output_head(const ModelConfig& config, ParameterStore& store,
                                             const InputEmbedding& input);

}  // namespace adaspan
