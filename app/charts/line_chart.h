// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "app/charts/axis.h"
#include "app/charts/reduced.h"
#include "app/charts/svg.h"

namespace adaspan {

struct Line {
  std::string name;
  Points points;
  size_t series = 0;    ///< its colour, dashes and mark; lines of one run share them
  bool marked = false;  ///< strong, with a mark at each point; else thin
};

struct LineChart {
  ChartTexts texts;
  Axis x, y;
  std::vector<Line> lines;
};

/// Lines that are told apart by dashes and marks as well as by colours, with a legend. Each is
/// reduced to the extremes of each column of pixels (wider columns where there are very many). What
/// was drawn can be read back: a <path class="line" data-name d="m.. l.."> in tenths of a pixel, in
/// a group that has both scales as data-x and data-y ("low high from to log").
std::string svg_of(const LineChart& chart);

}  // namespace adaspan
