// SPDX-License-Identifier: MIT
#include "adaspan/models/feed_forward.h"

#include "adaspan/ops/linear.h"

namespace adaspan {

FeedForward::FeedForward(const ModelConfig& config, ParameterStore& store,
                         const std::string& prefix)
    : weight1_(store.add(prefix + "fc1.weight", {config.inner, config.hidden},
                         Initialiser::fan_in(config.hidden))),
      bias1_(store.add(prefix + "fc1.bias", {config.inner}, Initialiser::fan_in(config.hidden))),
      weight2_(store.add(prefix + "fc2.weight", {config.hidden, config.inner},
                         Initialiser::fan_in(config.inner))),
      bias2_(store.add(prefix + "fc2.bias", {config.hidden}, Initialiser::fan_in(config.inner))) {}

Variable FeedForward::forward(Tape& tape, const Variable& x, const Dropout& mask) const {
  const Variable inner = linear(tape, x, weight1_.variable(), bias1_.variable(),
                                {.activation = Activation::relu, .dropout = mask});  // [M,B,F]
  return linear(tape, inner, weight2_.variable(), bias2_.variable(), {.residual = x});
}

}  // namespace adaspan
