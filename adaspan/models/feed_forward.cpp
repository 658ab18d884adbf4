// SPDX-License-Identifier: MIT
#include "adaspan/models/feed_forward.h"

#include "adaspan/ops/linear.h"

namespace adaspan {

FeedForward::FeedForward(const ModelConfig& config, ParameterStore& store, int64_t layer)
    : weight1_(store.add(layer_name(layer, "ff.fc1.weight"),
                         random_site(layer, RandomRole::inner_weight),
                         {config.inner, config.hidden}, Initialiser::fan_in(config.hidden))),
      bias1_(store.add(layer_name(layer, "ff.fc1.bias"), random_site(layer, RandomRole::inner_bias),
                       {config.inner}, Initialiser::fan_in(config.hidden))),
      weight2_(store.add(layer_name(layer, "ff.fc2.weight"),
                         random_site(layer, RandomRole::outer_weight),
                         {config.hidden, config.inner}, Initialiser::fan_in(config.inner))),
      bias2_(store.add(layer_name(layer, "ff.fc2.bias"), random_site(layer, RandomRole::outer_bias),
                       {config.hidden}, Initialiser::fan_in(config.inner))) {}

Variable FeedForward::forward(Tape& tape, const Variable& x, const Dropout& dropout,
                              const Variable& residual) const {
  const Variable inner = linear(tape, x, weight1_.variable(), bias1_.variable(),
                                {.activation = Activation::relu, .dropout = dropout});  // [M,B,F]
  return linear(tape, inner, weight2_.variable(), bias2_.variable(), {.residual = residual});
}

}  // namespace adaspan
