// SPDX-License-Identifier: MIT
#include "app/head_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

/// y [steps,rows] of inputs x [steps,H]: rows [first, first+rows) of W [.,H].
std::vector<float> project(const Tensor& weight, int64_t first, int64_t rows,
                           std::span<const float> x) {
  const int64_t H = weight.shape()[1], steps = static_cast<int64_t>(x.size()) / H;
  std::vector<float> y(static_cast<size_t>(steps * rows));
  parallel_for(steps, [&](int64_t t) {
    for (int64_t i = 0; i < rows; ++i) {
      const float* w = weight.data() + (first + i) * H;
      double sum = 0;
      for (int64_t j = 0; j < H; ++j) sum += static_cast<double>(w[j]) * x.data()[t * H + j];
      y[static_cast<size_t>(t * rows + i)] = static_cast<float>(sum);
    }
  });
  return y;
}

/// scores += q_i component, one component of all steps at a time.
void add_component(std::span<double> scores, const float* component, float q) {
  for (size_t j = 0; j < scores.size(); ++j) scores[j] += static_cast<double>(q) * component[j];
}

/// scores become m e^(s - the largest s that counts); returns what makes shares of them.
double to_masked_exponentials(std::vector<double>& scores, const std::vector<double>& masks) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (size_t j = 0; j < scores.size(); ++j) {
    if (masks[j] > 0) largest = std::max(largest, scores[j]);
  }
  for (size_t j = 0; j < scores.size(); ++j) {
    scores[j] = masks[j] > 0 ? masks[j] * std::exp(scores[j] - largest) : 0;
    sum += scores[j];
  }
  return sum > 0 ? 1 / sum : 0;
}

double mask(double z, int64_t u, int64_t ramp) {
  const auto R = static_cast<double>(ramp);
  return std::clamp((R + z - static_cast<double>(u)) / R, 0.0, 1.0);
}

}  // namespace

std::vector<float> spans_of_inputs(const Transformer& model, int64_t layer,
                                   std::span<const float> inputs) {
  const ModelConfig& c = model.config();
  const auto K = static_cast<size_t>(c.heads);
  const size_t steps = inputs.size() / static_cast<size_t>(c.hidden);
  std::vector<float> z(steps * K);
  if (c.span_kind != SpanKind::dynamic) {
    const std::vector<float> same = model.spans()[static_cast<size_t>(layer)];
    for (size_t i = 0; i < z.size(); ++i) z[i] = same[i % K];
    return z;
  }
  const ParametersByName parameters(model);
  z = project(parameters.tensor(layer_name(layer, "attn.attn.dynamic_span.weight")), 0, c.heads,
              inputs);
  const Tensor& bias = parameters.tensor(layer_name(layer, "attn.attn.dynamic_span.bias"));
  for (size_t i = 0; i < z.size(); ++i) {
    const double logit = static_cast<double>(z[i]) + bias.data()[i % K];
    z[i] = static_cast<float>(static_cast<double>(c.span_limit) / (1 + std::exp(-logit)));
  }
  return z;
}

void check_head(const ModelConfig& c, int64_t layer, int64_t head) {
  require(layer >= 0 && layer < c.layers,
          "[spans] expected --layer of the model's {}, 0 to {}; got {}; choose one of these",
          c.layers, c.layers - 1, layer);
  require(head >= 0 && head < c.heads,
          "[spans] expected --head of the layer's {}, 0 to {}; got {}; choose one of these",
          c.heads, c.heads - 1, head);
}

HeadWeights::HeadWeights(const Transformer& model, int64_t layer, int64_t head)
    : model_(model),
      parameters_(model),
      layer_(layer),
      head_(head),
      D_(model.config().head_width()),
      S_(model.config().span_limit),
      keys_(static_cast<size_t>(D_)) {
  check_head(model.config(), layer, head);
}

std::vector<QueryWeights> HeadWeights::read(std::span<const float> inputs) {
  const auto projected = [&](const char* name) {
    return project(parameters_.tensor(layer_name(layer_, name)), head_ * D_, D_, inputs);
  };
  const std::vector<float> q = projected("attn.proj_query.weight");
  const std::vector<float> k = projected("attn.proj_key.weight");
  const std::vector<float> z = spans_of_inputs(model_, layer_, inputs);
  const auto D = static_cast<size_t>(D_), K = static_cast<size_t>(model_.config().heads);
  for (size_t i = 0; i < k.size(); ++i) keys_[i % D].push_back(k[i]);
  std::vector<QueryWeights> all(q.size() / D);
  parallel_for(static_cast<int64_t>(all.size()), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    all[at] = weights_of(steps_ + i, std::span(q).subspan(at * D, D),
                         z[at * K + static_cast<size_t>(head_)]);
  });
  steps_ += static_cast<int64_t>(all.size());
  forget_unseen();
  return all;
}

QueryWeights HeadWeights::weights_of(int64_t t, std::span<const float> q, float z) const {
  const ModelConfig& c = model_.config();
  const bool fixed = c.span_kind == SpanKind::fixed;
  const int64_t E = fixed ? S_ : effective_span(z, c.ramp, S_), P = c.persistent;
  const int64_t seen = std::min(E, t), missing = E - seen;
  std::vector<double> scores(static_cast<size_t>(E + P), 0);  // oldest step first
  const auto of_steps = std::span(scores).first(static_cast<size_t>(E));
  const float* p = parameters_.tensor("key_pe").data() + (S_ - E);  // [1,D,S]
  for (int64_t i = 0; i < D_; ++i) {
    const float qi = q[static_cast<size_t>(i)];
    add_component(of_steps, p + i * S_, qi);
    add_component(of_steps.subspan(static_cast<size_t>(missing)),
                  keys_[static_cast<size_t>(i)].data() + (t - seen - first_), qi);
  }
  const double scaling = 1 / std::sqrt(static_cast<double>(D_));
  for (double& score : of_steps) score *= scaling;
  if (P > 0) {
    const float* n =
        parameters_.tensor(layer_name(layer_, "attn.attn.persistent_memory.key")).data();
    for (int64_t i = 0; i < D_; ++i) {  // of sqrt(D) n: no scaling is left
      add_component(std::span(scores).subspan(static_cast<size_t>(E)), n + (head_ * D_ + i) * P,
                    q[static_cast<size_t>(i)]);
    }
  }

  std::vector<double> masks(scores.size(), 1);
  for (int64_t j = 0; j < E; ++j) {
    double& m = masks[static_cast<size_t>(j)];
    if (!fixed) m = mask(z, E - j - 1, c.ramp);  // of distance E - j
    if (c.skip_missing && j < missing) m = 0;
  }
  const double share = to_masked_exponentials(scores, masks);

  QueryWeights weights;
  for (int64_t j = 0; j < missing; ++j) {
    weights.before_start += share * scores[static_cast<size_t>(j)];
  }
  for (int64_t j = E - 1; j >= missing; --j) {
    weights.steps.push_back(share * scores[static_cast<size_t>(j)]);
  }
  for (int64_t j = E; j < E + P; ++j) {
    weights.persistent.push_back(share * scores[static_cast<size_t>(j)]);
  }
  return weights;
}

/// Keys further back than any query to come can look, once they are many.
void HeadWeights::forget_unseen() {
  const int64_t kept = steps_ - first_, more = kept - S_;
  if (more <= kept / 2) return;
  for (auto& component : keys_) component.erase(component.begin(), component.begin() + more);
  first_ += more;
}

}  // namespace adaspan
