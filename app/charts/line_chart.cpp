// SPDX-License-Identifier: MIT
#include "app/charts/line_chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace adaspan {
namespace {

constexpr double kWidth = 640, kLeft = 70, kRight = 620, kTop = 34, kBottom = 284;
constexpr size_t kMostNames = 12;      // of a legend
constexpr size_t kMostPoints = 40000;  // of a chart, where every column is full
constexpr size_t kMostMarks = 40;      // of a line

constexpr std::array<const char*, 5> kDashes = {"", "70 30", "20 30", "120 30 20 30", "180 50"};

/// A shape around a place, in tenths of a pixel.
std::string mark_at(double x, double y, size_t series) {
  constexpr std::array<const char*, 6> kShapes = {
      "m-30 0a30 30 0 1 0 60 0a30 30 0 1 0-60 0",         // circle
      "m-28-28h56v56h-56z",                               // square
      "m0-36l34 62h-68z",                                 // triangle
      "m0-40l40 40l-40 40l-40-40z",                       // diamond
      "m0 36l34-62h-68z",                                 // triangle that points down
      "m-32-10h22v-22h20v22h22v20h-22v22h-20v-22h-22z"};  // plus
  return fmt::format("M{:.0f} {:.0f}{}", 10 * x, 10 * y, kShapes[series % kShapes.size()]);
}

const char* dashes_of(size_t series) {
  return kDashes[(series + series / kSeries) % kDashes.size()];
}

std::string stroke_of(const Line& line) {
  const char* dashes = dashes_of(line.series);
  return fmt::format("style=\"stroke:{}\" stroke-width=\"{}\"{}{}", series_colour(line.series),
                     line.marked ? 20 : 12, line.marked ? "" : " stroke-opacity=\".75\"",
                     *dashes ? fmt::format(" stroke-dasharray=\"{}\"", dashes) : "");
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double value, bool log) {
    if (!std::isfinite(value) || (log && value <= 0)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// One line in whole tenths of a pixel, each point seen from the one before.
std::string path_of(const Points& points, const Scale& x, const Scale& y) {
  std::string path;
  int64_t last_x = 0, last_y = 0;
  bool pen_up = true;
  for (size_t i = 0; i < points.x.size(); ++i) {
    const double at_x = x.at(points.x[i]), at_y = y.at(points.y[i]);
    if (!std::isfinite(at_x) || !std::isfinite(at_y)) {
      pen_up = true;
      continue;
    }
    const auto now_x = std::llround(10 * at_x);
    const auto now_y = std::llround(10 * at_y);
    const int64_t by_x = now_x - last_x, by_y = now_y - last_y;
    path += fmt::format("{}{}{}{}", pen_up ? "m" : "l", by_x, by_y < 0 ? "" : " ", by_y);
    last_x = now_x;
    last_y = now_y;
    pen_up = false;
  }
  return path;
}

std::string marks_of(const Line& line, const Points& points, const Scale& x, const Scale& y) {
  std::string path;
  for (const size_t i : spread_places(points.x.size(), line.marked ? kMostMarks : 6)) {
    const double at_x = x.at(points.x[i]), at_y = y.at(points.y[i]);
    if (std::isfinite(at_x) && std::isfinite(at_y)) path += mark_at(at_x, at_y, line.series);
  }
  return fmt::format("<path class=\"marks\" data-series=\"{}\" style=\"fill:{}\" d=\"{}\"/>\n",
                     line.series, series_colour(line.series), path);
}

std::string drawn(const Line& line, const Scale& x, const Scale& y, int columns, bool with_marks) {
  const Points points = reduced(line.points, x, columns);
  if (points.x.empty()) return "";
  std::string out =
      fmt::format("<path class=\"line\" data-series=\"{}\" data-name=\"{}\" {} d=\"{}\"/>\n",
                  line.series, escaped(line.name), stroke_of(line), path_of(points, x, y));
  if (with_marks) out += marks_of(line, points, x, y);
  return out;
}

/// Names below the plot, three in a row.
std::string legend(const std::vector<Line>& lines, double top) {
  std::string out;
  const size_t count = lines.size() > kMostNames ? kMostNames - 1 : lines.size();
  for (size_t i = 0; i < count; ++i) {
    const double left = 40 + 195 * static_cast<double>(i % 3);
    const double middle = top + 18 * static_cast<double>(i / 3);
    out += fmt::format("<g transform=\"scale(.1)\"><path class=\"line\" {} d=\"M{} {}h300\"/>",
                       stroke_of(lines[i]), 10 * left, 10 * middle);
    out += fmt::format("<path style=\"fill:{}\" d=\"{}\"/></g>\n", series_colour(lines[i].series),
                       mark_at(left + 15, middle, lines[i].series));
    out += svg_text(left + 36, middle + 4, "start", shortened(lines[i].name, 23));
  }
  if (count < lines.size()) {
    out += svg_text(40 + 195 * 2 + 36, top + 18 * 3 + 4, "start",
                    fmt::format("and {} more", lines.size() - count));
  }
  return out;
}

std::string numbers_of(const Scale& s) {
  return fmt::format("{:.10g} {:.10g} {:g} {:g} {:d}", s.low, s.high, s.from, s.to, s.log);
}

}  // namespace

std::string svg_of(const LineChart& chart) {
  Range over_x, over_y;
  for (const Line& line : chart.lines) {
    for (size_t i = 0; i < line.points.x.size(); ++i) {
      if (!std::isfinite(line.points.y[i])) continue;
      over_x.add(line.points.x[i], chart.x.log);
      over_y.add(line.points.y[i], chart.y.log);
    }
  }
  const Scale x = scale_of(chart.x, over_x.low, over_x.high, kLeft, kRight);
  const Scale y = scale_of(chart.y, over_y.low, over_y.high, kBottom, kTop);
  const size_t lines = std::max<size_t>(1, chart.lines.size());
  const int columns =
      static_cast<int>(std::clamp<size_t>(kMostPoints / lines / 2, 50, kRight - kLeft));
  std::string out = drawn_axes(chart.x, x, chart.y, y);
  out += fmt::format(
      "<clipPath id=\"{0}-plot\"><rect x=\"{1:g}\" y=\"{2:g}\" width=\"{3:g}\" height=\"{4:g}\"/>"
      "</clipPath>\n<g clip-path=\"url(#{0}-plot)\"><g class=\"plot\" transform=\"scale(.1)\" "
      "data-x=\"{5}\" data-y=\"{6}\">\n",
      chart.texts.id, kLeft - 5, kTop - 4, kRight - kLeft + 10, kBottom - kTop + 9, numbers_of(x),
      numbers_of(y));
  for (const Line& line : chart.lines) {
    out += drawn(line, x, y, columns, line.marked || lines > 1);
  }
  out += "</g></g>\n";
  double height = kBottom + 46;
  if (chart.lines.size() > 1) {
    out += legend(chart.lines, height + 8);
    height += 14 + 18 * std::ceil(static_cast<double>(std::min(lines, kMostNames)) / 3);
  }
  return svg_frame(chart.texts, kWidth, height, out);
}

}  // namespace adaspan
