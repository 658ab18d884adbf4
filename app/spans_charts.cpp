// SPDX-License-Identifier: MIT
// Drawn into SVG that is right by itself; a page may set its colours (--ink, --paper, --grid,
// --soft, --tint). The numbers drawn stand in data-values.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "app/spans_page.h"

namespace adaspan {
namespace {

constexpr double kWidth = 760, kHeight = 340, kLeft = 70, kRight = 150, kTop = 36, kBottom = 48;
constexpr double kPlotWidth = kWidth - kLeft - kRight;
constexpr int64_t kColumns = 270;  // of a chart, at most: two pixels each

/// From a value to a place between two.
struct Scale {
  std::string label;
  double low, high, from, to;
  bool log = false;

  double at(double value) const {
    const auto f = [this](double x) { return log ? std::log10(x) : x; };
    const double share = high > low ? (f(value) - f(low)) / (f(high) - f(low)) : 0.5;
    return from + share * (to - from);
  }
  /// About six numbers of one digit that are 1, 2 or 5; of a logarithmic scale powers of 10.
  std::vector<double> ticks() const {
    std::vector<double> all;
    if (log) {
      for (double e = std::ceil(std::log10(low) - 1e-9); std::pow(10, e) <= high * (1 + 1e-9);
           ++e) {
        all.push_back(std::pow(10, e));
      }
      return all;
    }
    const double rough = (high - low) / 6, power = std::pow(10, std::floor(std::log10(rough)));
    const double step = power * (rough / power <= 1   ? 1
                                 : rough / power <= 2 ? 2
                                 : rough / power <= 5 ? 5
                                                      : 10);
    for (double n = std::ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; ++n) {
      all.push_back(n * step + 0.0);  // no -0
    }
    return all;
  }
};

Scale across(const std::string& label, double low, double high, bool log = false) {
  return {label, low, std::max(high, log ? low * 10 : low + 1), kLeft, kLeft + kPlotWidth, log};
}
Scale upward(const std::string& label, double low, double high, bool log = false) {
  return {label, low, high > low ? high : low + 1, kHeight - kBottom, kTop, log};
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& text,
                    const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, text);
}

/// Places on an axis and what stands there, in the place of numbers.
using Names = std::vector<std::pair<double, std::string>>;

std::string axes(const Scale& x, const Scale& y, const Names& along = {}, const Names& up = {}) {
  std::string out;
  const auto name_x = [&](double at, const std::string& name, const char* more = "") {
    out += text_at(x.at(at), kHeight - kBottom + 16, "middle", name, more);
  };
  const auto name_y = [&](double at, const std::string& name) {
    out += text_at(kLeft - 6, y.at(at) + 4, "end", name);
  };
  for (const auto& [at, name] : along) name_x(at, name, " font-size=\"10\"");
  for (const auto& [at, name] : up) name_y(at, name);
  for (const double tick : along.empty() ? x.ticks() : std::vector<double>()) {
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {}V{}\"/>\n", x.at(tick), kTop,
                       kHeight - kBottom);
    name_x(tick, fmt::format("{:g}", tick));
  }
  for (const double tick : up.empty() ? y.ticks() : std::vector<double>()) {
    out += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>\n", kLeft, y.at(tick),
                       kLeft + kPlotWidth);
    name_y(tick, fmt::format("{:g}", tick));
  }
  const double middle = (kTop + kHeight - kBottom) / 2;
  out += text_at(kLeft + kPlotWidth / 2, kHeight - 10, "middle", x.label);
  return out + text_at(14, middle, "middle", y.label,
                       fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
}

/// The whole file: title and description are what a screen reader says.
std::string svg(const std::string& name, const std::string& title, const std::string& description,
                const std::string& content) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" role=\"img\" class=\"{2}\" aria-labelledby=\"{2}-t {2}-d\">\n"
      "<title id=\"{2}-t\">{3}</title>\n<desc id=\"{2}-d\">{4}</desc>\n"
      "<style>.{2}{{font:12px system-ui,sans-serif;fill:#1c2024;fill:var(--ink,#1c2024)}}"
      ".{2} .grid{{stroke:#d5d9de;stroke:var(--grid,#d5d9de);fill:none}}"
      ".{2} .line{{fill:none;stroke:#286ec8;stroke:rgb(var(--tint,40,110,200));stroke-width:1.5}}"
      ".{2} .cell{{fill:#286ec8;fill:rgb(var(--tint,40,110,200))}}"
      ".{2} .back{{fill:#fff;fill:var(--paper,#fff)}}</style>\n"
      "<rect class=\"back\" width=\"{0:g}\" height=\"{1:g}\"/>\n{5}{6}</svg>\n",
      kWidth, kHeight, name, title, description,
      text_at(kLeft, 20, "start", title, " font-weight=\"bold\" font-size=\"14\""), content);
}

struct Line {
  std::vector<double> x, y;
};

/// Only the least and the largest y of each column of the chart, in their order.
Line reduced(const Line& line, const Scale& x) {
  Line kept;
  for (size_t begin = 0, end = 0; begin < line.x.size(); begin = end) {
    const auto column = [&](size_t i) { return static_cast<int64_t>(x.at(line.x[i]) / 2); };
    while (end < line.x.size() && column(end) == column(begin)) ++end;
    const auto [low, high] = std::minmax_element(line.y.begin() + static_cast<int64_t>(begin),
                                                 line.y.begin() + static_cast<int64_t>(end));
    const auto first = static_cast<size_t>(std::min(low, high) - line.y.begin());
    const auto second = static_cast<size_t>(std::max(low, high) - line.y.begin());
    for (size_t i = first;; i = second) {
      kept.x.push_back(line.x[i]);
      kept.y.push_back(line.y[i]);
      if (i == second) break;
    }
  }
  return kept;
}

/// Values that a logarithmic scale has no place for leave a gap.
std::string line_of(const Line& whole, const Scale& x, const Scale& y) {
  const Line line = reduced(whole, x);
  std::string path;
  bool pen_up = true;
  for (size_t n = 0; n < line.x.size(); ++n) {
    const bool drawn = !y.log || line.y[n] >= y.low;
    if (drawn) {
      path += fmt::format("{}{:.1f} {:.1f}", pen_up ? "M" : "L", x.at(line.x[n]), y.at(line.y[n]));
    }
    pen_up = !drawn;
  }
  return fmt::format("<path class=\"line\" data-x=\"{:.6g}\" data-values=\"{:.6g}\" d=\"{}\"/>\n",
                     fmt::join(line.x, " "), fmt::join(line.y, " "), path);
}

constexpr size_t kShades = 16;

/// From 0 to kShades, by the root, so that small values are seen.
size_t shade_of(double value, double largest) {
  return largest > 0 ? static_cast<size_t>(std::lround(std::sqrt(value / largest) * kShades)) : 0;
}

/// Three digits; what is no thousandth of the largest is 0.
std::string short_numbers(const std::vector<double>& values, double largest) {
  std::string out;
  for (const double value : values) {
    out += (out.empty() ? "" : " ") + fmt::format("{:.3g}", value < largest * 1e-3 ? 0 : value);
  }
  return out;
}

/// Values of rows and columns as squares, stronger ones for larger values; of columns that share a
/// square the mean of `value` counts.
std::string squares(int64_t rows, int64_t columns, const Scale& x, const Scale& y,
                    const std::function<double(int64_t row, int64_t column)>& value) {
  const int64_t each = (columns + kColumns - 1) / kColumns;  // columns that share a square
  std::vector<std::vector<double>> means;
  double largest = 0;
  for (int64_t r = 0; r < rows; ++r) {
    auto& row = means.emplace_back();
    for (int64_t c = 0; c < columns; c += each) {
      const int64_t end = std::min(columns, c + each);
      double sum = 0;
      for (int64_t i = c; i < end; ++i) sum += value(r, i);
      row.push_back(sum / static_cast<double>(end - c));
      largest = std::max(largest, row.back());
    }
  }
  std::vector<std::string> paths(kShades + 1);  // of each shade
  std::string out;
  for (int64_t r = 0; r < rows; ++r) {
    const auto& row = means[static_cast<size_t>(r)];
    const double top = std::min(y.at(static_cast<double>(r)), y.at(static_cast<double>(r + 1)));
    const double height = std::abs(y.at(1) - y.at(0));
    out += fmt::format("<g data-row=\"{}\" data-each=\"{}\" data-values=\"{}\"/>\n", r, each,
                       short_numbers(row, largest));
    for (size_t begin = 0, end = 0; begin < row.size(); begin = end) {
      const size_t shade = shade_of(row[begin], largest);
      while (end < row.size() && shade_of(row[end], largest) == shade) ++end;
      const auto at = [&](size_t c) {
        return x.at(x.low + static_cast<double>(std::min(columns, static_cast<int64_t>(c) * each)));
      };
      paths[shade] += fmt::format("M{:.1f} {:.1f}h{:.1f}v{:.1f}H{:.1f}z", at(begin), top,
                                  at(end) - at(begin), height, at(begin));
    }
  }
  for (size_t shade = 1; shade <= kShades; ++shade) {
    out += fmt::format("<path class=\"cell\" opacity=\"{:.2f}\" d=\"{}\"/>\n",
                       static_cast<double>(shade) / kShades, paths[shade]);
  }
  const double left = kLeft + kPlotWidth + 14;
  for (int step = 0; step <= 10; ++step) {  // what the colours stand for
    out += fmt::format(
        "<rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"12\" "
        "opacity=\"{:.2f}\"/>\n",
        left, kTop + 12.0 * (10 - step), static_cast<double>(shade_of(step, 10)) / kShades);
    if (step % 5 == 0) {
      out += text_at(left + 20, kTop + 12.0 * (10 - step) + 10, "start",
                     fmt::format("{:.3g}", largest * step / 10));
    }
  }
  return out;
}

/// The characters of a text that is short enough.
Names text_below(const TextReading& reading) {
  constexpr size_t kMost = 90;
  Names text;
  if (reading.cells.size() > kMost || reading.words) return text;
  for (const TextCell& cell : reading.cells) {
    text.emplace_back(static_cast<double>(cell.first), escaped(cell.shown));
  }
  return text;
}

NamedChart mean_over_text(const TextReading& reading) {
  const SpansOverText& spans = reading.spans;
  Line line;
  double high = 0;
  for (int64_t t = 0; t < spans.tokens; ++t) {
    line.x.push_back(static_cast<double>(t));
    line.y.push_back(spans.mean_of_token(t));
    high = std::max(high, line.y.back());
  }
  const Scale x = across("place in the text (tokens)", 0, static_cast<double>(spans.tokens - 1));
  const Scale y = upward("mean z (steps)", 0, high);
  return {"mean-over-text",
          svg("mean-over-text", "How far back all heads look on average, along the text",
              fmt::format("A line of the mean z at each of {} tokens; at most {:.4g} steps.",
                          spans.tokens, high),
              axes(x, y, text_below(reading)) + line_of(line, x, y))};
}

/// z of rows, which are layers or their heads: as many of each layer.
NamedChart rows_over_text(const TextReading& reading, const std::string& row_name, int64_t of_layer,
                          const std::function<double(int64_t row, int64_t token)>& z) {
  const int64_t tokens = reading.spans.tokens, layers = reading.spans.layers;
  const Scale x = across("place in the text (tokens)", 0, static_cast<double>(tokens));
  const Scale y = upward(of_layer == 1 ? "layer" : fmt::format("layer, {} heads each", of_layer), 0,
                         static_cast<double>(layers * of_layer));
  Names names;
  for (int64_t l = 0; l < layers; l += 1 + layers / 20) {
    names.emplace_back((static_cast<double>(l) + 0.5) * static_cast<double>(of_layer),
                       fmt::format("{}", l));
  }
  const std::string name = row_name + "s-over-text";
  return {name, svg(name, fmt::format("Span of every {} along the text (z in steps)", row_name),
                    fmt::format("{} rows, layer 0 at the bottom; the stronger the colour, the "
                                "further back it looks at "
                                "this one of {} tokens.",
                                layers * of_layer, tokens),
                    axes(x, y, {}, names) + squares(layers * of_layer, tokens, x, y, z))};
}

std::string head_text(const TextReading& reading) {
  const HeadChoice& head = reading.attention.head;
  return fmt::format("layer {}, head {}", head.layer, head.head);
}

NamedChart weights_over_distance(const TextReading& reading) {
  const std::vector<double>& weights = reading.attention.by_distance;
  constexpr double kLeast = 1e-6;  // below it nothing is drawn
  Line line;
  double high = 10 * kLeast;
  for (size_t d = 0; d < weights.size(); ++d) {
    line.x.push_back(static_cast<double>(d + 1));
    line.y.push_back(weights[d]);
    high = std::max(high, weights[d]);
  }
  double low = high;
  for (const double weight : weights) {
    if (weight >= kLeast) low = std::min(low, weight);
  }
  low = std::pow(10, std::floor(std::log10(low)));
  const Scale x = across("distance (tokens back)", 1, static_cast<double>(weights.size()), true);
  const Scale y = upward("mean weight", low, high, true);
  return {
      "weights-over-distance",
      svg("weights-over-distance", "Attention over distance: " + head_text(reading),
          fmt::format("Mean weight of each distance from 1 to {} over the text; {:.3g} of all "
                      "weight lies before the text, {:.3g} on persistent vectors.",
                      weights.size(), reading.attention.before_start, reading.attention.persistent),
          axes(x, y) + line_of(line, x, y))};
}

NamedChart weights_of_last(const TextReading& reading) {
  const auto& recent = reading.attention.recent;
  size_t distances = 1;
  for (const auto& weights : recent) {
    for (size_t d = 0; d < weights.size(); ++d) {
      if (weights[d] > 1e-4) distances = std::max(distances, d + 1);
    }
  }
  const auto rows = static_cast<int64_t>(recent.size());
  const Scale x = across("distance (tokens back)", 1, static_cast<double>(distances + 1));
  const auto first = static_cast<double>(reading.spans.tokens - rows);
  Scale y = upward("place in the text (tokens)", first, first + static_cast<double>(rows));
  std::swap(y.from, y.to);  // the text goes down
  Scale by_row = y;
  by_row.low = 0;
  by_row.high = static_cast<double>(rows);
  const auto weight = [&](int64_t row, int64_t column) {
    const auto& weights = recent[static_cast<size_t>(row)];
    return column < static_cast<int64_t>(weights.size()) ? weights[static_cast<size_t>(column)] : 0;
  };
  return {"weights-of-last",
          svg("weights-of-last", "Where each token looks: " + head_text(reading),
              fmt::format("Each row is one of the last {} tokens; the stronger the colour, the "
                          "more it attends to "
                          "the token at that distance.",
                          rows),
              axes(x, y) + squares(rows, static_cast<int64_t>(distances), x, by_row, weight))};
}

}  // namespace

std::vector<NamedChart> charts_of(const TextReading& reading) {
  std::vector<NamedChart> charts;
  if (reading.spans.kind == SpanKind::dynamic) {
    const SpansOverText& spans = reading.spans;
    const int64_t K = spans.heads;
    charts.push_back(mean_over_text(reading));
    charts.push_back(rows_over_text(reading, "layer", 1, [&](int64_t row, int64_t token) {
      return spans.mean_of_layer(token, row);
    }));
    charts.push_back(rows_over_text(reading, "head", K, [&](int64_t row, int64_t token) {
      return spans.at(token, row / K, row % K);
    }));
  }
  if (!reading.attention.by_distance.empty()) {
    charts.push_back(weights_over_distance(reading));
    charts.push_back(weights_of_last(reading));
  }
  return charts;
}

}  // namespace adaspan
