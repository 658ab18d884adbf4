// SPDX-License-Identifier: MIT
#include "adaspan/models/positions.h"

#include "adaspan/ops/layout.h"

namespace adaspan {
namespace {

class LearnedPositions : public Positions {
 public:
  LearnedPositions(const ModelConfig& config, ParameterStore& store)
      : table_(store.add("key_pe", random_site(kModelItself, RandomRole::positions),
                         {1, config.head_width(), config.span_limit}, Initialiser::normal(1))) {}

  BlockPositions of_block(Tape& tape) const override {
    const Shape& shape = table_.shape();
    return {.scores = reshape(tape, table_.variable(), {shape[1], shape[2]})};
  }

 private:
  Parameter& table_;  // [1,D,S], as the reference's files have it
};

}  // namespace

std::unique_ptr<Positions> make_positions(const ModelConfig& config, ParameterStore& store) {
  return std::make_unique<LearnedPositions>(config, store);
}

}  // namespace adaspan
