// SPDX-License-Identifier: MIT
#include "adaspan/models/transformer.h"

#include <utility>

#include "adaspan/autograd/recomputed.h"
#include "adaspan/autograd/watched.h"
#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layer_norm.h"

namespace adaspan {
namespace {

const ModelConfig& checked(const ModelConfig& config) {
  check(config);
  return config;
}

/// What is dropped at a place of a layer; nothing outside of training.
Dropout dropout_at(const std::optional<TrainingStep>& training, int64_t layer, RandomRole place,
                   float rate) {
  if (!training) return {};
  return {.rate = rate,
          .key = {.seed = training->seed,
                  .purpose = Purpose::dropout,
                  .step = training->step,
                  .site = random_site(layer, place)},
          .first_sequence = training->first_sequence,
          .batch = training->batch};
}

/// z of the next layer, for attention alone: what it sends back is the gradient of the loss, to
/// which the price of z then adds its own.
Variable watched_span(Tape& tape, const Variable& z,
                      const std::shared_ptr<SpanGradients>& gradients) {
  const size_t layer = gradients->size();
  gradients->emplace_back(static_cast<size_t>(z.shape()[-1]), 0.0);
  return watched(tape, z, [gradients, layer](const Tensor& dz) {
    (*gradients)[layer] = gradient_by_head(dz);
  });
}

}  // namespace

Transformer::Norm::Norm(const ModelConfig& config, ParameterStore& store, int64_t layer,
                        const std::string& name, RandomRole gain_role, RandomRole bias_role)
    : gain(store.add(layer_name(layer, name + ".weight"), random_site(layer, gain_role),
                     {config.hidden}, Initialiser::constant(1))),
      bias(store.add(layer_name(layer, name + ".bias"), random_site(layer, bias_role),
                     {config.hidden}, Initialiser::constant(0))) {}

Variable Transformer::Norm::forward(Tape& tape, const Variable& x) const {
  return layer_norm(tape, x, gain.variable(), bias.variable());
}

Transformer::Layer::Layer(const ModelConfig& config, ParameterStore& store, int64_t index)
    : span(make_span(config, store, index)),
      attention(make_attention(config, store, index)),
      norm1(config, store, index, "norm1", RandomRole::norm1_gain, RandomRole::norm1_bias) {
  if (config.persistent > 0) return;
  feed_forward.emplace(config, store, index);
  norm2.emplace(config, store, index, "norm2", RandomRole::norm2_gain, RandomRole::norm2_bias);
}

Transformer::Transformer(const ModelConfig& config, uint64_t seed, BeforeParameter before)
    : config_(checked(config)),
      store_(seed, std::move(before)),
      positions_(make_positions(config_, store_)),
      embedding_(make_input_embedding(config_, store_)),
      head_(make_output_head(config_, store_, *embedding_)) {
  for (int64_t l = 0; l < config.layers; ++l) layers_.emplace_back(config_, store_, l);
}

BlockLoss Transformer::loss(Tape& tape, const Tensor& ids, const Tensor& targets,
                            const Memory& memory,
                            const std::optional<TrainingStep>& training) const {
  Body body = forward(tape, ids, memory, training);
  const Variable nll = head_->loss(tape, body.h, targets);
  BlockLoss out{.total = nll,
                .nll = nll.value().item(),
                .mean_z = std::move(body.mean_z),
                .widest_z = std::move(body.widest_z),
                .memory = std::move(body.memory),
                .span_gradients = std::move(body.span_gradients)};
  if (body.span_price) {
    const Variable span_loss = scale(tape, body.span_price, config_.span_loss);
    out.span_loss = span_loss.value().item();
    out.total = add(tape, nll, span_loss);
  }
  return out;
}

BlockPrediction Transformer::predict(const Tensor& ids, const Memory& memory) const {
  Tape no_tape(Tape::Mode::evaluation);
  Body body = forward(no_tape, ids, memory, /*training=*/{});
  return {head_->log_probabilities(body.h), std::move(body.memory)};
}

Memory Transformer::remember(const Tensor& ids, const Memory& memory) const {
  Tape no_tape(Tape::Mode::evaluation);
  return forward(no_tape, ids, memory, /*training=*/{}).memory;
}

BlockTokenLosses Transformer::token_losses(const Tensor& ids, const Tensor& targets,
                                           const Memory& memory) const {
  Tape no_tape(Tape::Mode::evaluation);
  Body body = forward(no_tape, ids, memory, /*training=*/{});
  return {head_->token_losses(body.h, targets), std::move(body.mean_z), std::move(body.memory)};
}

Transformer::Body Transformer::forward(Tape& tape, const Tensor& ids, const Memory& memory,
                                       const std::optional<TrainingStep>& training) const {
  const Timed timed("forward graph", 0, 0);  // without the ops: checks, spans, memory, recording
  check_inputs(ids, memory);
  Body out;
  out.span_gradients = std::make_shared<SpanGradients>();
  const BlockPositions positions = positions_->of_block(tape);
  Variable h = embedding_->forward(tape, ids);  // [M,B,H]
  h = dropout(
      tape, h,
      dropout_at(training, kModelItself, RandomRole::input_dropout, config_.embedding_dropout));
  for (int64_t l = 0; l < config_.layers; ++l) {
    const Layer& layer = layers_[static_cast<size_t>(l)];
    const LayerMemory& past = memory[static_cast<size_t>(l)];
    LayerSpans spans = layer.span->of(tape, h, past.steps());
    if (spans.price) {
      out.span_price = out.span_price ? add(tape, out.span_price, spans.price) : spans.price;
    }
    if (spans.z) spans.z = watched_span(tape, spans.z, out.span_gradients);
    out.mean_z.push_back(spans.mean_z);
    out.widest_z.push_back(spans.widest_z);
    out.memory.push_back(past.extended(h.shared_value(), spans.memory_length));

    LayerContext context{
        .memory = past,
        .spans = std::move(spans),
        .positions = positions,
        .attention_dropout =
            dropout_at(training, l, RandomRole::attention_dropout, config_.dropout),
        .inner_dropout = dropout_at(training, l, RandomRole::inner_dropout, config_.dropout)};
    // The last layer's activations are the first to be needed: there is nothing to gain from them.
    if (!training || !training->recompute || l + 1 == config_.layers) {
      h = layer_forward(tape, layer, h, context);
      continue;
    }
    std::vector<Variable> inputs = {h, context.spans.z, positions.scores};
    h = recomputed(tape, "layer", std::move(inputs),
                   [&layer, h, context = std::move(context)](Tape& now) {
                     return layer_forward(now, layer, h, context);
                   });
  }
  out.h = dropout(
      tape, h,
      dropout_at(training, kModelItself, RandomRole::output_dropout, config_.embedding_dropout));
  return out;
}

Variable Transformer::layer_forward(Tape& tape, const Layer& layer, const Variable& h,
                                    const LayerContext& context) {
  const Variable attended = layer.attention->forward(tape,
                                                     {.x = h,
                                                      .memory = context.memory,
                                                      .spans = context.spans,
                                                      .positions = context.positions,
                                                      .dropout = context.attention_dropout},
                                                     /*residual=*/h);
  const Variable x = layer.norm1.forward(tape, attended);
  if (!layer.feed_forward) return x;
  const Variable transformed =
      layer.feed_forward->forward(tape, x, context.inner_dropout, /*residual=*/x);
  return layer.norm2->forward(tape, transformed);
}

void Transformer::check_inputs(const Tensor& ids, const Memory& memory) const {
  require(ids.shape().rank() == 2 && memory.size() == layers_.size(),
          "[transformer] expected ids [M,B] and the memory of {} layers; got {} and {}",
          layers_.size(), ids.shape().text(), memory.size());
  for (const LayerMemory& c : memory) {
    require(c.shape()[1] == ids.shape()[1] && c.shape()[2] == config_.hidden &&
                c.type() == config_.cache_type(),
            "[transformer] expected memory [C,{},{}] of type {}; got {} of type {}", ids.shape()[1],
            config_.hidden, name(config_.cache_type()), c.shape().text(), name(c.type()));
  }
}

Memory Transformer::fresh_memory(int64_t sequences) const {
  return empty_memory(config_.layers, sequences, config_.hidden, config_.cache_type());
}

std::vector<Parameter*> Transformer::span_ratios() {
  std::vector<Parameter*> ratios;
  for (const Layer& layer : layers_) {
    if (Parameter* ratio = layer.span->ratio()) ratios.push_back(ratio);
  }
  return ratios;
}

std::vector<const Parameter*> Transformer::span_ratios() const {
  std::vector<const Parameter*> ratios;
  for (const Layer& layer : layers_) {
    if (const Parameter* ratio = layer.span->ratio()) ratios.push_back(ratio);
  }
  return ratios;
}

std::vector<std::vector<float>> Transformer::spans() const {
  std::vector<std::vector<float>> z = starting_spans(config_);
  const std::vector<const Parameter*> ratios = span_ratios();
  for (size_t l = 0; l < ratios.size(); ++l) {
    for (size_t h = 0; h < z[l].size(); ++h) {
      z[l][h] = ratios[l]->value().data()[h] * static_cast<float>(config_.span_limit);
    }
  }
  return z;
}

}  // namespace adaspan
