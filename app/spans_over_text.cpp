// SPDX-License-Identifier: MIT
#include "app/spans_over_text.h"

#include <algorithm>
#include <numeric>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "app/head_weights.h"

namespace adaspan {
namespace {

/// The newest `steps` of a memory of one text, [steps,H].
std::vector<float> newest(const LayerMemory& memory, int64_t steps) {
  const int64_t H = memory.shape()[2];
  std::vector<float> values(static_cast<size_t>(steps * H));
  int64_t end = steps;  // of what is still to be filled
  for (auto segment = memory.segments().rbegin(); end > 0; ++segment) {
    const int64_t count = std::min(end, segment->steps);
    const int64_t begin = segment->begin + segment->steps - count;
    with_type(memory.type(), [&]<class T>(T) {
      const T* from = segment->value->data<T>() + begin * H;
      for (int64_t i = 0; i < count * H; ++i) {
        values[static_cast<size_t>((end - count) * H + i)] = to_float(from[i]);
      }
    });
    end -= count;
  }
  return values;
}

/// How many steps of a block every layer still remembers after it.
int64_t steps_remembered(const Transformer& model) {
  int64_t least = model.config().span_limit;
  for (const auto& layer : model.spans()) {
    least = std::min(least, memory_length(model.config(), *std::ranges::max_element(layer)));
  }
  return least;
}

void add(std::vector<double>& sums, const std::vector<double>& more) {
  if (sums.size() < more.size()) sums.resize(more.size(), 0);
  for (size_t i = 0; i < more.size(); ++i) sums[i] += more[i];
}

/// The heaviest of the steps that token t attends to.
std::vector<Attended> strongest_of(const std::vector<double>& steps, int64_t t) {
  std::vector<Attended> all;
  for (size_t d = 0; d < steps.size(); ++d) {
    if (steps[d] > 0) all.push_back({t - 1 - static_cast<int64_t>(d), steps[d]});
  }
  const size_t count = std::min(all.size(), AttentionOverText::kStrongest);
  std::partial_sort(all.begin(), all.begin() + static_cast<int64_t>(count), all.end(),
                    [](const Attended& a, const Attended& b) {
                      return a.weight > b.weight || (a.weight == b.weight && a.token > b.token);
                    });
  return {all.begin(), all.begin() + static_cast<int64_t>(count)};
}

}  // namespace

void visit_layer_inputs(const Transformer& model, std::span<const int32_t> ids, int64_t block,
                        const OnInputs& visit) {
  const FlushDenormals flush;
  const auto T = static_cast<int64_t>(ids.size());
  const int64_t most = std::max<int64_t>(1, std::min(block, steps_remembered(model)));
  Memory memory = model.fresh_memory(1);
  for (int64_t first = 0; first < T; first += most) {
    const int64_t steps = std::min(most, T - first);
    const auto some = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(steps));
    memory = model.remember(Tensor::of({steps, 1}, some), memory);
    std::vector<std::vector<float>> inputs;
    for (const LayerMemory& layer : memory) inputs.push_back(newest(layer, steps));
    visit(first, inputs);
  }
}

float SpansOverText::at(int64_t token, int64_t layer, int64_t head) const {
  const int64_t row = kind == SpanKind::dynamic ? token : 0;
  return z[static_cast<size_t>((row * layers + layer) * heads + head)];
}

double SpansOverText::mean_of_layer(int64_t token, int64_t layer) const {
  double sum = 0;
  for (int64_t h = 0; h < heads; ++h) sum += at(token, layer, h);
  return sum / static_cast<double>(heads);
}

double SpansOverText::mean_of_token(int64_t token) const {
  double sum = 0;
  for (int64_t l = 0; l < layers; ++l) sum += mean_of_layer(token, l);
  return sum / static_cast<double>(layers);
}

std::vector<std::vector<float>> SpansOverText::mean_of_heads() const {
  const int64_t rows = kind == SpanKind::dynamic ? tokens : 1;
  std::vector<std::vector<float>> means;
  for (int64_t l = 0; l < layers; ++l) {
    auto& layer = means.emplace_back();
    for (int64_t h = 0; h < heads; ++h) {
      double sum = 0;
      for (int64_t t = 0; t < rows; ++t) sum += at(t, l, h);
      layer.push_back(static_cast<float>(sum / static_cast<double>(rows)));
    }
  }
  return means;
}

SpansOverText spans_over_text(const Transformer& model, std::span<const int32_t> ids,
                              int64_t block) {
  const ModelConfig& c = model.config();
  SpansOverText spans{.kind = c.span_kind,
                      .tokens = static_cast<int64_t>(ids.size()),
                      .layers = c.layers,
                      .heads = c.heads,
                      .z = {}};
  if (c.span_kind != SpanKind::dynamic) {
    for (const auto& layer : model.spans())
      spans.z.insert(spans.z.end(), layer.begin(), layer.end());
    return spans;
  }
  spans.z.resize(ids.size() * static_cast<size_t>(c.layers * c.heads));
  visit_layer_inputs(model, ids, block, [&](int64_t first, const auto& inputs) {
    for (int64_t l = 0; l < c.layers; ++l) {
      const std::vector<float> z = spans_of_inputs(model, l, inputs[static_cast<size_t>(l)]);
      for (int64_t i = 0; i < static_cast<int64_t>(z.size()); ++i) {
        const int64_t token = first + i / c.heads;
        spans.z[static_cast<size_t>((token * c.layers + l) * c.heads + i % c.heads)] =
            z[static_cast<size_t>(i)];
      }
    }
  });
  return spans;
}

HeadChoice furthest_head(const SpansOverText& spans, const AskedHead& asked) {
  const auto means = spans.mean_of_heads();
  HeadChoice best;
  float widest = -1;
  for (int64_t l = spans.layers - 1; l >= 0; --l) {
    for (int64_t h = 0; h < spans.heads; ++h) {
      const float z = means[static_cast<size_t>(l)][static_cast<size_t>(h)];
      if (asked.layer.value_or(l) != l || asked.head.value_or(h) != h || z <= widest) continue;
      widest = z;
      best = {l, h};
    }
  }
  return best;
}

AttentionOverText attention_over_text(const Transformer& model, std::span<const int32_t> ids,
                                      int64_t block, const HeadChoice& choice) {
  HeadWeights head(model, choice.layer, choice.head);
  AttentionOverText all;
  all.head = choice;
  const auto T = static_cast<int64_t>(ids.size());
  visit_layer_inputs(model, ids, block, [&](int64_t first, const auto& inputs) {
    int64_t t = first;
    for (QueryWeights& weights : head.read(inputs[static_cast<size_t>(choice.layer)])) {
      add(all.by_distance, weights.steps);
      all.before_start += weights.before_start;
      all.persistent += std::accumulate(weights.persistent.begin(), weights.persistent.end(), 0.0);
      all.strongest.push_back(strongest_of(weights.steps, t));
      if (t >= T - AttentionOverText::kRecent) all.recent.push_back(std::move(weights.steps));
      ++t;
    }
  });
  const double share = 1 / static_cast<double>(T);
  for (double& weight : all.by_distance) weight *= share;
  all.before_start *= share;
  all.persistent *= share;
  return all;
}

}  // namespace adaspan
