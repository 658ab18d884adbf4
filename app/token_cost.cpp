// SPDX-License-Identifier: MIT
#include "app/token_cost.h"

#include <fmt/core.h>

#include "adaspan/models/cost.h"
#include "adaspan/train/run/metrics.h"

namespace adaspan {

TokenCost token_cost(const ModelConfig& config, const std::vector<std::vector<float>>& z,
                     const std::vector<double>& cluster_shares) {
  const double span = summarise_spans(z, config.ramp, config.span_limit).mean;
  return {.flops = flops_per_token(config, span, cluster_shares),
          .mean_span = span,
          .by_rank = config.adaptive_io.on && cluster_shares.empty()};
}

std::string text_of(const TokenCost& cost) {
  return fmt::format("{:.{}f}M FLOPS a token (multiply-add = 1) at a mean span of {:.0f}{}",
                     cost.flops / 1e6, cost.flops < 1e7 ? 2 : 1, cost.mean_span,
                     cost.by_rank ? ", words as frequent as 1/rank" : "");
}

}  // namespace adaspan
