// SPDX-License-Identifier: MIT
#include "adaspan/models/cost.h"

#include <cassert>

#include "adaspan/models/clusters.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {

namespace {

/// Multiply-adds of one token, forward, before and after the layers.
double input_and_output(const ModelConfig& c, const std::vector<double>& given) {
  const double H = static_cast<double>(c.hidden), V = static_cast<double>(c.vocabulary);
  if (!c.adaptive_io.on) return H * V;
  const std::vector<Cluster> clusters = clusters_of(c);
  const std::vector<double> shares = given.empty() ? zipf_shares(c) : given;
  const auto tails = static_cast<double>(clusters.size() - 1);
  assert(shares.size() == clusters.size());
  double sum = H * tails;
  for (size_t i = 0; i < clusters.size(); ++i) {
    const auto d = static_cast<double>(clusters[i].width);
    const auto size = static_cast<double>(clusters[i].size);
    sum += shares[i] * H * d;                              // input: E_i[x] P_i^T
    sum += (i == 0 ? 1 : shares[i]) * (H * d + d * size);  // output: h P_i, and W_i of it
  }
  return sum;
}

}  // namespace

double flops_per_token(const ModelConfig& c, double mean_span,
                       const std::vector<double>& cluster_shares) {
  const auto L = static_cast<double>(c.layers), H = static_cast<double>(c.hidden);
  const auto inner = static_cast<double>(c.persistent > 0 ? c.persistent : c.inner);
  return L * (4 * H * H + 2 * H * inner + 2 * H * mean_span) + input_and_output(c, cluster_shares);
}

double useful_flops(const ModelConfig& c, int64_t B, int64_t M,
                    const std::vector<std::vector<float>>& z,
                    const std::vector<double>& cluster_shares) {
  const double H = static_cast<double>(c.hidden);
  const double D = static_cast<double>(c.head_width()), sequences = static_cast<double>(B);
  const double tokens = static_cast<double>(B * M);

  double flops = 3 * 2 * flops_per_token(c, /*mean_span=*/0, cluster_shares) * tokens;
  for (const auto& layer : z) {
    for (float head : layer) {
      const auto reach = static_cast<double>(span_reach(head, c.ramp, c.span_limit));
      const double memory_keys_and_values = 2 * H * D * reach * sequences;
      flops += 2 * 2 * memory_keys_and_values;
      flops += 18 * D * reach * tokens;
    }
  }
  return flops;
}

}  // namespace adaspan
