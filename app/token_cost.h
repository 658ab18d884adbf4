// SPDX-License-Identifier: MIT
// What a token costs a model, as the papers count it (adaspan/models/cost.h).
#pragma once

#include <string>
#include <vector>

#include <adaspan/models/model_config.h>

namespace adaspan {

struct TokenCost {
  double flops = 0;      ///< multiply-adds forward
  double mean_span = 0;  ///< over all heads and layers, in tokens
  bool by_rank = false;  ///< of clusters whose share was not counted, but taken by 1/rank
};

/// At spans z of each layer and head; cluster_shares as in flops_per_token.
TokenCost token_cost(const ModelConfig& config, const std::vector<std::vector<float>>& z,
                     const std::vector<double>& cluster_shares = {});

/// "41.6M FLOPS a token (multiply-add = 1) at a mean span of 314"
std::string text_of(const TokenCost& cost);

}  // namespace adaspan
