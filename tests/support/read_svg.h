// SPDX-License-Identifier: MIT
// Reads back what charts have drawn.
#pragma once

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

namespace adaspan {

/// The values of each attribute of this name, in order.
inline std::vector<std::string> attributes_of(const std::string& svg, const std::string& name) {
  std::vector<std::string> all;
  const std::string begin = " " + name + "=\"";
  for (size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const size_t from = at + begin.size();
    all.push_back(svg.substr(from, svg.find('"', from) - from));
  }
  return all;
}

inline std::vector<double> numbers_in(const std::string& text) {
  std::istringstream in(text);
  std::vector<double> all;
  for (double value = 0; in >> value;) all.push_back(value);
  return all;
}

/// The value at a place, in pixels, of a scale "low high from to log".
inline double value_at(const std::string& scale, double place) {
  const std::vector<double> s = numbers_in(scale);
  const double share = (place - s[2]) / (s[3] - s[2]);
  return s[4] != 0 ? s[0] * std::pow(s[1] / s[0], share) : s[0] + share * (s[1] - s[0]);
}

struct DrawnLine {
  std::string name;
  std::vector<double> x, y;
  int strokes = 0;          // pieces without a gap
  double pixel_x, pixel_y;  // how much a pixel is, at the axes' low ends
};

/// The lines of a line chart, in values.
inline std::vector<DrawnLine> lines_in(const std::string& svg) {
  std::vector<DrawnLine> lines;
  const size_t plot = svg.find("<g class=\"plot\"");
  if (plot == std::string::npos) return lines;
  const std::string drawn = svg.substr(plot, svg.find("</g>", plot) - plot);
  const std::string x_scale = attributes_of(drawn, "data-x").at(0);
  const std::string y_scale = attributes_of(drawn, "data-y").at(0);
  const auto names = attributes_of(drawn, "data-name");
  const std::string begin = "<path class=\"line\"";
  size_t at = drawn.find(begin);
  for (size_t n = 0; at != std::string::npos; at = drawn.find(begin, at + 1), ++n) {
    DrawnLine& line = lines.emplace_back();
    line.name = names.at(n);
    const auto from_x = numbers_in(x_scale).at(2), from_y = numbers_in(y_scale).at(2);
    line.pixel_x = value_at(x_scale, from_x + 1) - value_at(x_scale, from_x);
    line.pixel_y = std::abs(value_at(y_scale, from_y - 1) - value_at(y_scale, from_y));
    const std::string path = attributes_of(drawn.substr(at, drawn.find("/>", at) - at), "d").at(0);
    std::string spaced;
    for (const char c : path) {
      line.strokes += c == 'm';
      if (c == 'm' || c == 'l' || c == '-') spaced += ' ';
      if (c != 'm' && c != 'l') spaced += c;
    }
    double x = 0, y = 0;
    const auto steps = numbers_in(spaced);
    for (size_t i = 0; i + 1 < steps.size(); i += 2) {
      x += steps[i];
      y += steps[i + 1];
      line.x.push_back(value_at(x_scale, x / 10));
      line.y.push_back(value_at(y_scale, y / 10));
    }
  }
  return lines;
}

}  // namespace adaspan
