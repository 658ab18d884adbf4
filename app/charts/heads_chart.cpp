// SPDX-License-Identifier: MIT
#include "app/charts/heads_chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace adaspan {
namespace {

constexpr double kWidth = 640, kHeight = 330, kLeft = 70, kRight = 620, kTop = 34, kBottom = 284;

}  // namespace

std::string svg_of(const HeadsChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& layer : chart.spans) {
    for (const double span : layer) {
      if (!std::isfinite(span) || (chart.y.log && span <= 0)) continue;
      low = std::min(low, span);
      high = std::max(high, span);
    }
  }
  const auto layers = static_cast<double>(chart.spans.size());
  const Axis x_axis{.label = "layer"};
  const Scale x{-0.5, std::max(0.5, layers - 0.5), kLeft, kRight};
  const Scale y = scale_of(chart.y, low, high, kBottom, kTop);
  std::string out = drawn_y_ticks(x, y) + drawn_titles(x_axis, x, chart.y, y);
  const size_t every = 1 + chart.spans.size() / 24;
  for (size_t l = 0; l < chart.spans.size(); ++l) {
    const auto& layer = chart.spans[l];
    const auto middle = static_cast<double>(l);
    if (l % every == 0) {
      out += svg_text(x.at(middle), kBottom + 16, "middle", fmt::format("{}", l));
    }
    double sum = 0;
    for (size_t h = 0; h < layer.size(); ++h) {
      const auto heads = static_cast<double>(layer.size());
      sum += layer[h];
      const double at = y.at(layer[h]);
      if (!std::isfinite(at)) continue;
      out += fmt::format(
          "<circle class=\"mark\" data-layer=\"{}\" data-head=\"{}\" data-value=\"{:.6g}\" "
          "cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" style=\"fill:{}\" fill-opacity=\".8\">"
          "<title>layer {}, head {}: {:.4g}</title></circle>\n",
          l, h, layer[h], x.at(middle + ((static_cast<double>(h) + 0.5) / heads - 0.5) * 0.7), at,
          series_colour(0), l, h, layer[h]);
    }
    const double mean = y.at(sum / static_cast<double>(std::max<size_t>(1, layer.size())));
    if (std::isfinite(mean)) {
      out += fmt::format(
          "<path class=\"line\" style=\"stroke:{}\" stroke-width=\"2\" "
          "d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n",
          series_colour(1), x.at(middle - 0.4), mean, x.at(middle + 0.4));
    }
  }
  return svg_frame(chart.texts, kWidth, kHeight, out);
}

}  // namespace adaspan
