// SPDX-License-Identifier: MIT
#include "adaspan/models/output_head.h"

#include <algorithm>
#include <cmath>

#include "adaspan/core/parallel.h"
#include "adaspan/models/adaptive_softmax.h"
#include "adaspan/ops/cross_entropy.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/linear_cross_entropy.h"

namespace adaspan {
namespace {

/// log p = log_softmax(Wout h + b)
class FullSoftmax : public OutputHead {
 public:
  FullSoftmax(const ModelConfig& config, ParameterStore& store)
      : weight_(store.add("out_emb.weight", random_site(kModelItself, RandomRole::output_weight),
                          {config.vocabulary, config.hidden}, Initialiser::fan_in(config.hidden))),
        bias_(store.add("out_emb.bias", random_site(kModelItself, RandomRole::output_bias),
                        {config.vocabulary}, Initialiser::fan_in(config.hidden))) {}

  Variable loss(Tape& tape, const Variable& h, const Tensor& targets) const override {
    return cross_entropy(tape, logits(tape, h), targets);
  }

  Tensor token_losses(const Variable& h, const Tensor& targets) const override {
    Tape no_tape(Tape::Mode::evaluation);
    return linear_cross_entropy(no_tape, h, {{weight_.variable(), bias_.variable()}}, targets)
        .value()
        .clone();
  }

  Tensor log_probabilities(const Variable& h) const override {
    Tape no_tape(Tape::Mode::evaluation);
    const Variable x = logits(no_tape, h);
    const int64_t V = x.shape()[-1];
    Tensor result(x.shape());
    parallel_chunks(x.shape().rows(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* const from = x.value().data() + row * V;
        const double largest = *std::max_element(from, from + V);
        double sum = 0;
        for (int64_t v = 0; v < V; ++v) sum += std::exp(from[v] - largest);
        const double log_sum = largest + std::log(sum);
        for (int64_t v = 0; v < V; ++v) {
          result.data()[row * V + v] = static_cast<float>(from[v] - log_sum);
        }
      }
    });
    return result;
  }

 private:
  Variable logits(Tape& tape, const Variable& h) const {  // [M,B,V]
    return linear(tape, h, weight_.variable(), bias_.variable(), {.type = DType::f32});
  }

  Parameter& weight_;
  Parameter& bias_;
};

}  // namespace

std::unique_ptr<OutputHead> make_output_head(const ModelConfig& config, ParameterStore& store,
                                             const InputEmbedding& input) {
  if (config.adaptive_io.on) return make_adaptive_softmax(config, store, input);
  return std::make_unique<FullSoftmax>(config, store);
}

}  // namespace adaspan
