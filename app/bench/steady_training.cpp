// SPDX-License-Identifier: MIT
#include "app/bench/steady_training.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/random.h"
#include "adaspan/core/shallow_json.h"
#include "app/bench/given_spans.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

/// 1, 1 + 1/2, 1 + 1/2 + 1/3 ...
std::vector<double> harmonic_sums(int64_t count) {
  std::vector<double> sums;
  double sum = 0;
  for (int64_t rank = 1; rank <= count; ++rank) {
    sums.push_back(sum += 1 / static_cast<double>(rank));
  }
  return sums;
}

/// Uniform ids, or such as words are: with adaptive input and output, what a step costs depends on
/// how rare they are. There the frequency of an id is proportional to 1 / (id + 1).
TokenStream random_tokens(int64_t count, const ModelConfig& c) {
  const RandomKey key{.purpose = Purpose::benchmark};
  const bool words = c.adaptive_io.on;
  const std::vector<double> sums = harmonic_sums(words ? c.vocabulary : 0);
  Tensor ids({count}, DType::i32);
  for (int64_t i = 0; i < count; ++i) {
    const double u = random_uniform(key, static_cast<uint64_t>(i));
    ids.data<int32_t>()[i] =
        static_cast<int32_t>(words ? std::ranges::upper_bound(sums, u * sums.back()) - sums.begin()
                                   : static_cast<int64_t>(u * static_cast<double>(c.vocabulary)));
  }
  return TokenStream::of(std::move(ids), "random tokens");
}

Spans spans_of_file(const std::string& path, const ModelConfig& config) {
  const auto expect = [&](bool fits, const std::string& got) {
    require(
        fits,
        "[bench] expected in {} a JSON list of {} layers, each a list of {} spans z in [0, {}]; "
        "got {}; write one for this model, or change its settings",
        path, config.layers, config.heads, config.span_limit, got);
  };
  const nlohmann::ordered_json layers = shallow_json(read_text(path));
  expect(layers.is_array(), "something else");
  expect(layers.size() == static_cast<size_t>(config.layers),
         fmt::format("{} layers", layers.size()));
  Spans spans;
  for (const auto& layer : layers) {
    expect(layer.is_array() && layer.size() == static_cast<size_t>(config.heads),
           fmt::format("{} spans in layer {}", layer.is_array() ? layer.size() : 0, spans.size()));
    std::vector<float>& row = spans.emplace_back();
    for (const auto& z : layer) {
      expect(z.is_number() && z >= 0 && z <= config.span_limit,
             fmt::format("{} for head {} of layer {}", z.is_primitive() ? z.dump() : "a list",
                         row.size(), spans.size() - 1));
      row.push_back(z.get<float>());
    }
  }
  return spans;
}

/// The spans stay where a pattern puts them, but for the noise of a step.
TrainingConfig without_price(TrainingConfig config) {
  config.model.span_loss = 0;
  return config;
}

}  // namespace

Spans span_pattern(const std::string& name, const ModelConfig& config) {
  const auto S = static_cast<float>(config.span_limit);
  const auto heads = static_cast<size_t>(config.heads), layers = static_cast<size_t>(config.layers);
  Spans spans(layers, std::vector<float>(heads, 0));
  if (name == "initial") return spans;
  if (name != "trained" && name != "full") {
    require(std::filesystem::is_regular_file(name),
            "[bench] expected --spans to be initial, trained, full or a file; got \"{}\"", name);
    return spans_of_file(name, config);
  }
  for (size_t l = 0; l < layers; ++l) {
    std::fill(spans[l].begin(), spans[l].end(), name == "full" ? S : 20.0f);
    if (name == "trained" && l >= layers / 2) spans[l][0] = std::floor(0.6f * S);
  }
  return spans;
}

SteadyTraining::SteadyTraining(const TrainingConfig& config, Spans spans, int64_t steps)
    : SteadyTraining(without_price(config), std::move(spans),
                     random_tokens(config.batch.sequences * ((steps + 1) * config.batch.block + 1),
                                   config.model)) {}

SteadyTraining::SteadyTraining(const TrainingConfig& config, Spans spans, const TokenStream& tokens)
    : spans_(std::move(spans)), trainer_(config, config.model.vocabulary, tokens, tokens) {
  fill_memory(trainer_, spans_);
}

void SteadyTraining::step() {
  set_spans(trainer_.model(), spans_);
  trainer_.step();
}

}  // namespace adaspan
