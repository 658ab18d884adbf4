// SPDX-License-Identifier: MIT
#include "adaspan/models/generate.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/random.h"

namespace adaspan {
namespace {

int32_t draw(std::span<const float> logits, double temperature, double uniform) {
  const auto top = std::max_element(logits.begin(), logits.end());
  if (temperature == 0) return static_cast<int32_t>(top - logits.begin());
  std::vector<double> weights;
  double sum = 0;
  for (float logit : logits) sum += weights.emplace_back(std::exp((logit - *top) / temperature));
  double left = uniform * sum;
  for (size_t v = 0; v < weights.size(); ++v) {
    left -= weights[v];
    if (left < 0) return static_cast<int32_t>(v);
  }
  return static_cast<int32_t>(top - logits.begin());  // rounding left nothing of the last weight
}

}  // namespace

std::vector<int32_t> generate(const Transformer& model, const std::vector<int32_t>& prompt,
                              const GenerateOptions& options) {
  require(!prompt.empty(), "[generate] expected a prompt of at least one token; got none");
  require(options.length >= 0 && options.temperature >= 0,
          "[generate] expected a length and a temperature of at least 0; got {} and {}",
          options.length, options.temperature);
  const FlushDenormals flush;
  const RandomKey key{.seed = options.seed, .purpose = Purpose::sampling};
  Memory memory = model.fresh_memory(1);
  std::vector<int32_t> next = prompt, drawn;
  for (int64_t i = 0; i < options.length; ++i) {
    const auto M = static_cast<int64_t>(next.size());
    Tape tape(Tape::Mode::evaluation);
    TransformerOutput out =
        model.forward(tape, Tensor::of({M, 1}, std::span<const int32_t>(next)), memory);
    memory = std::move(out.memory);
    const int64_t V = model.config().vocabulary;
    const auto last = out.logits.value().values().last(static_cast<size_t>(V));
    const int32_t token =
        draw(last, options.temperature, random_uniform(key, static_cast<uint64_t>(i)));
    drawn.push_back(token);
    next = {token};
  }
  return drawn;
}

}  // namespace adaspan
