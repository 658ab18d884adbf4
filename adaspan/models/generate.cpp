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

/// The token at which the sum of p^(1/temperature), scaled to 1 over all tokens, passes `uniform`.
int32_t draw(std::span<const float> log_p, double temperature, double uniform) {
  require(
      std::ranges::all_of(log_p, [](float x) { return !std::isnan(x); }),
      "[generate] expected a probability for each token; got nan: the weights are of a run that "
      "has diverged; take an older checkpoint");
  const auto top = std::max_element(log_p.begin(), log_p.end());
  if (temperature == 0) return static_cast<int32_t>(top - log_p.begin());
  std::vector<double> weights;
  double sum = 0;
  for (float x : log_p) sum += weights.emplace_back(std::exp((x - *top) / temperature));
  double left = uniform * sum;
  for (size_t v = 0; v < weights.size(); ++v) {
    left -= weights[v];
    if (left < 0) return static_cast<int32_t>(v);
  }
  return static_cast<int32_t>(top - log_p.begin());  // rounding left nothing of the last weight
}

}  // namespace

std::vector<int32_t> generate(const Transformer& model, const std::vector<int32_t>& prompt,
                              const GenerateOptions& options) {
  require(!prompt.empty(), "[generate] expected a prompt of at least one token; got none");
  require(
      options.length >= 0 && options.temperature >= 0,
      "[generate] expected generate.length and generate.temperature of at least 0; got {} and {}",
      options.length, options.temperature);
  const FlushDenormals flush;
  const RandomKey key{.seed = options.seed, .purpose = Purpose::sampling};
  Memory memory = model.fresh_memory(1);
  const auto V = static_cast<size_t>(model.config().vocabulary);
  std::vector<int32_t> next = prompt, drawn;
  for (int64_t i = 0; i < options.length; ++i) {
    const auto M = static_cast<int64_t>(next.size());
    BlockPrediction block =
        model.predict(Tensor::of({M, 1}, std::span<const int32_t>(next)), memory);
    memory = std::move(block.memory);
    const auto last = block.log_probabilities.values().last(V);
    const int32_t token =
        draw(last, options.temperature, random_uniform(key, static_cast<uint64_t>(i)));
    drawn.push_back(token);
    next = {token};
  }
  return drawn;
}

}  // namespace adaspan
