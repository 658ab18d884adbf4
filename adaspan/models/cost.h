// SPDX-License-Identifier: MIT
// What a training step has to compute, counted from the sizes alone.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/models/model_config.h>

namespace adaspan {

/// Useful floating-point operations of one training step (forward, backward):
///   linear layers: 2 for each multiply-add of forward, data gradient and weight gradient; the
///   memory's keys and values (forward, weight gradient) as far back as each head looks;
///   persistent vectors: as a feed-forward layer of F = P;
///   attention: 18 D for each query and key within a head's reach (adaspan/ops/span_mask.h).
/// What is computed a second time to save memory earns no credit.
///   adaptive input and output: the head for all tokens, a rare cluster for those of it; their
///   share of each cluster is given, or that of zipf_shares (models/clusters.h).
///   z: the span of each layer and head, in steps
double useful_flops(const ModelConfig& config, int64_t B, int64_t M,
                    const std::vector<std::vector<float>>& z,
                    const std::vector<double>& cluster_shares = {});

/// What the papers call FLOPS of a token: multiply-adds forward, each counted as one,
///   L (4 H^2 + 2 H F + 2 H span) + H V
/// where F is P with persistent vectors, and with adaptive input and output the cost to expect of
/// both takes the place of H V. Keys and values of the memory were computed with its own tokens.
///   mean_span: over all heads and layers, in steps
///   cluster_shares: as above
double flops_per_token(const ModelConfig& config, double mean_span,
                       const std::vector<double>& cluster_shares = {});

}  // namespace adaspan
