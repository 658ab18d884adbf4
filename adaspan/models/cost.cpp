// SPDX-License-Identifier: MIT
#include "adaspan/models/cost.h"

#include "adaspan/ops/span_mask.h"

namespace adaspan {

double useful_flops(const ModelConfig& c, int64_t B, int64_t M,
                    const std::vector<std::vector<float>>& z) {
  const double L = static_cast<double>(c.layers), H = static_cast<double>(c.hidden);
  const double F = static_cast<double>(c.inner), V = static_cast<double>(c.vocabulary);
  const double D = static_cast<double>(c.head_width()), sequences = static_cast<double>(B);
  const double tokens = static_cast<double>(B * M);

  const double inner = c.persistent > 0 ? static_cast<double>(c.persistent) : F;
  const double multiply_adds = L * (4 * H * H + 2 * H * inner) + H * V;  // of one token, forward
  double flops = 3 * 2 * multiply_adds * tokens;
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
