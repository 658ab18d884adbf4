// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>
#include <adaspan/ops/dropout.h>

namespace adaspan {

/// FF(x) = fc2(dropout(relu(fc1 x))), each token by itself.
class FeedForward {
 public:
  FeedForward(const ModelConfig& config, ParameterStore& store, int64_t layer);

  /// residual + FF(x)
  ///   x [M,B,H], residual [M,B,H] -> [M,B,H]
  Variable forward(Tape& tape, const Variable& x, const Dropout& dropout,
                   const Variable& residual) const;

 private:
  Parameter& weight1_;
  Parameter& bias1_;
  Parameter& weight2_;
  Parameter& bias2_;
};

}  // namespace adaspan
