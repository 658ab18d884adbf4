// SPDX-License-Identifier: MIT
// What tells a layer where a step stands: without it, attention would not know the order of what it
// sees.
#pragma once

#include <memory>

#include <adaspan/autograd/tape.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

/// What positions contribute to one block; the same for all layers.
struct BlockPositions {
  Variable scores;  ///< p [D,S] f32: q . p_j is added to the score of the step at distance S-j
};

class Positions {
 public:
  virtual ~Positions() = default;
  virtual BlockPositions of_block(Tape& tape) const = 0;
};

/// Positions of the configuration's kind: one learned vector for each distance (Shaw et al. 2018),
/// shared by all heads and layers.
std::unique_ptr<Positions> make_positions(const ModelConfig& config, ParameterStore& store);

}  // namespace adaspan
