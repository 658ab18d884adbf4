// SPDX-License-Identifier: MIT
#include "app/charts/axis.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/charts/svg.h"

namespace adaspan {
namespace {

/// "0.5", "2000", "20k", "3M", "1e-05"
std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:g}", value);
}

std::vector<Tick> log_ticks(double low, double high, int about) {
  const double decades = std::log10(high / low);
  const double every = std::max(1.0, std::ceil(decades / about));  // powers of ten
  std::vector<Tick> all;
  for (double e = std::floor(std::log10(low)); e <= std::log10(high) + 1e-9; ++e) {
    for (const double digit : {1, 2, 5}) {
      if (digit > 1 && decades >= 3) continue;
      const double value = digit * std::pow(10, e);
      const bool kept = every == 1 || std::fmod(std::abs(e), every) == 0;
      if (kept && value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) {
        all.push_back({value, tick_text(value)});
      }
    }
  }
  return all;
}

}  // namespace

std::string Axis::title() const {
  return unit.empty() ? label : fmt::format("{} ({})", label, unit);
}

std::vector<Tick> ticks(double low, double high, int about, bool log) {
  // A small range has no place for such numbers: those of a linear axis serve.
  if (log && high >= 2 * low) {
    std::vector<Tick> all = log_ticks(low, high, about);
    if (all.size() >= 3) return all;
  }
  const double rough = (high - low) / about, power = std::pow(10, std::floor(std::log10(rough)));
  const double share = rough / power;
  const double step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
  std::vector<Tick> all;
  for (double n = std::ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; ++n) {
    const double value = n * step + 0.0;  // no -0
    all.push_back({value, tick_text(value)});
  }
  return all;
}

double Scale::at(double value) const {
  if (!std::isfinite(value) || (log && value <= 0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double share =
      log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return from + share * (to - from);
}

Scale scale_of(const Axis& axis, double low, double high, double from, double to) {
  if (!(low <= high)) low = high = axis.log ? 1 : 0;  // no values
  if (axis.log) {
    if (high < low * 1.05) {
      low /= 1.5;
      high *= 1.5;
    }
    const double more = std::pow(high / low, 0.03);
    low /= more;
    high *= more;
  } else {
    const double more = high > low ? 0.01 * (high - low) : high != 0 ? 0.1 * std::abs(high) : 1;
    low -= more;
    high += more;
  }
  low = axis.low.value_or(low);
  high = axis.high.value_or(high);
  if (!(low < high)) high = axis.log ? 10 * low : low + 1;
  return {low, high, from, to, axis.log};
}

std::string drawn_x_ticks(const Scale& x, const Scale& y) {
  std::string out;
  const int about = static_cast<int>(std::max(2.0, std::abs(x.to - x.from) / 80));
  for (const Tick& tick : ticks(x.low, x.high, about, x.log)) {
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", x.at(tick.value),
                       y.to, y.from);
    out += svg_text(x.at(tick.value), y.from + 16, "middle", tick.label);
  }
  return out;
}

std::string drawn_y_ticks(const Scale& x, const Scale& y) {
  std::string out;
  const int about = static_cast<int>(std::max(2.0, std::abs(y.to - y.from) / 40));
  for (const Tick& tick : ticks(y.low, y.high, about, y.log)) {
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", x.from,
                       y.at(tick.value), x.to);
    out += svg_text(x.from - 6, y.at(tick.value) + 4, "end", tick.label);
  }
  return out;
}

std::string drawn_titles(const Axis& x_axis, const Scale& x, const Axis& y_axis, const Scale& y) {
  const double middle = (y.from + y.to) / 2;
  return svg_text((x.from + x.to) / 2, y.from + 34, "middle", x_axis.title()) +
         svg_text(14, middle, "middle", y_axis.title(),
                  fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
}

std::string drawn_axes(const Axis& x_axis, const Scale& x, const Axis& y_axis, const Scale& y) {
  return drawn_x_ticks(x, y) + drawn_y_ticks(x, y) + drawn_titles(x_axis, x, y_axis, y);
}

}  // namespace adaspan
