// SPDX-License-Identifier: MIT
#include "app/span_health.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/ops/span_mask.h"
#include "adaspan/train/run/span_doctor.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// One head; z is that of its weights, or where it differs from token to token the mean of it.
ordered_json health_of(size_t layer, size_t head, double z, double loss, const ModelConfig& c) {
  const auto S = static_cast<double>(c.span_limit);
  // A mean over tokens, each in (0, S), comes close to an end and never to it.
  const double margin = c.span_kind == SpanKind::dynamic ? 1 : 0;
  const bool at_zero = margin > 0 ? z < margin : z <= 0;
  const bool at_limit = margin > 0 ? z > S - margin : z >= S;
  const double penalty = span_penalty(c);
  return {{"layer", layer},
          {"head", head},
          {"z", z},
          {"reach", span_reach(z, c.ramp, c.span_limit)},
          {"gradient_loss", loss},
          {"gradient_penalty", penalty},
          {"held", name(hold_of(loss, penalty, at_zero, at_limit))}};
}

}  // namespace

ordered_json span_health(const LoadedModel& loaded) {
  const ModelConfig& config = loaded.header.config.model;
  SpanDoctor doctor;
  doctor.restore(loaded.header.progress.doctor, config.layers, config.heads);
  if (doctor.state().steps == 0) return nullptr;
  const SpanGradients gradients = doctor.mean_gradients(), mean_z = doctor.mean_z();
  const auto own = loaded.model->spans();
  ordered_json heads = ordered_json::array();
  for (size_t l = 0; l < gradients.size(); ++l) {
    for (size_t h = 0; h < gradients[l].size(); ++h) {
      const bool dynamic = config.span_kind == SpanKind::dynamic;
      const double z = dynamic ? mean_z[l][h] : static_cast<double>(own[l][h]);
      heads.push_back(health_of(l, h, z, gradients[l][h], config));
    }
  }
  return {{"steps", doctor.state().steps}, {"heads", heads}};
}

std::string span_health_text(const ordered_json& health) {
  std::string text = fmt::format(
      "what moves each head's span, means over about the last {} steps (below 0: longer):\n"
      "  layer  head    reach  d(loss)/dz  d(penalty)/dz\n",
      std::min<int64_t>(1000, health["steps"].get<int64_t>()));
  for (const ordered_json& head : health["heads"]) {
    const auto held = head["held"].get<std::string>();
    text += fmt::format("  {:>5}  {:>4}  {:>7}  {:>10.2e}  {:>13.2e}{}{}\n",
                        head["layer"].get<int64_t>(), head["head"].get<int64_t>(),
                        head["reach"].get<int64_t>(), head["gradient_loss"].get<double>(),
                        head["gradient_penalty"].get<double>(), held.empty() ? "" : "  ", held);
  }
  return text;
}

}  // namespace adaspan
