// SPDX-License-Identifier: MIT
#include "app/charts/heat_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace adaspan {
namespace {

constexpr double kWidth = 640, kHeight = 330, kLeft = 70, kRight = 550, kTop = 34, kBottom = 284;
constexpr size_t kShades = 12;

/// From 0 to kShades; what is no number is 0.
size_t shade_of(double value, double largest) {
  if (!(value > 0) || !(largest > 0)) return 0;
  return static_cast<size_t>(std::lround(std::min(1.0, value / largest) * kShades));
}

double opacity_of(size_t shade) {
  return 0.06 + 0.94 * static_cast<double>(shade) / static_cast<double>(kShades);
}

std::string colour_bar(const HeatMap& map, double largest) {
  constexpr double kStep = 12, kBarLeft = kRight + 18;
  std::string out;
  for (size_t shade = 0; shade <= kShades; ++shade) {
    const double top = kTop + 24 + kStep * static_cast<double>(kShades - shade);
    out += fmt::format(
        "<rect x=\"{:g}\" y=\"{:g}\" width=\"14\" height=\"{:g}\" style=\"fill:{}\" "
        "opacity=\"{:.2f}\"/>\n",
        kBarLeft, top, kStep, series_colour(0), opacity_of(shade));
    if (shade % (kShades / 2) == 0) {
      out += svg_text(kBarLeft + 20, top + 10, "start",
                      fmt::format("{:.3g}", largest * static_cast<double>(shade) / kShades));
    }
  }
  return out + svg_text(kBarLeft, kTop + 12, "start", map.value_name);
}

/// Squares of one shade that touch are one.
std::string squares(const HeatMap& map, const Scale& x, const Scale& y, double largest) {
  std::vector<std::string> paths(kShades + 1);
  std::string out;
  const double height = std::abs(y.at(1) - y.at(0));
  for (size_t r = 0; r < map.values.size(); ++r) {
    const auto& row = map.values[r];
    std::string numbers;
    for (const double value : row) {
      numbers += fmt::format("{}{:.3g}", numbers.empty() ? "" : " ", value);
    }
    out += fmt::format("<g data-row=\"{}\" data-values=\"{}\"/>\n", r, numbers);
    for (size_t begin = 0, end = 0; begin < row.size(); begin = end) {
      const size_t shade = shade_of(row[begin], largest);
      while (end < row.size() && shade_of(row[end], largest) == shade) ++end;
      const double left = x.at(map.edges[begin]), right = x.at(map.edges[end]);
      paths[shade] += fmt::format("M{:.1f} {:.1f}h{:.1f}v{:.1f}H{:.1f}z", left,
                                  y.at(static_cast<double>(r + 1)), right - left, height, left);
    }
  }
  for (size_t shade = 0; shade <= kShades; ++shade) {
    if (paths[shade].empty()) continue;
    out += fmt::format("<path class=\"cell\" style=\"fill:{}\" opacity=\"{:.2f}\" d=\"{}\"/>\n",
                       series_colour(0), opacity_of(shade), paths[shade]);
  }
  return out;
}

}  // namespace

std::string svg_of(const HeatMap& map) {
  double largest = 0;
  for (const auto& row : map.values) {
    for (const double value : row) {
      if (std::isfinite(value)) largest = std::max(largest, value);
    }
  }
  const bool empty = map.edges.size() < 2;
  const Scale x{empty ? 0 : map.edges.front(), empty ? 1 : map.edges.back(), kLeft, kRight,
                map.x.log};
  const Scale y{0, std::max(1.0, static_cast<double>(map.values.size())), kBottom, kTop};
  std::string out = drawn_x_ticks(x, y) + squares(map, x, y, largest);
  for (size_t r = 0; r < map.row_names.size(); ++r) {
    if (map.row_names[r].empty()) continue;
    out += svg_text(kLeft - 6, y.at(static_cast<double>(r) + 0.5) + 4, "end", map.row_names[r]);
  }
  out += drawn_titles(map.x, x, map.y, y) + colour_bar(map, largest);
  return svg_frame(map.texts, kWidth, kHeight, out);
}

}  // namespace adaspan
