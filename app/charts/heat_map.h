// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "app/charts/axis.h"
#include "app/charts/svg.h"

namespace adaspan {

/// Values over two axes; the stronger the colour, the larger.
struct HeatMap {
  ChartTexts texts;
  Axis x, y;
  std::string value_name;                   ///< what the colours stand for, with its unit
  std::vector<double> edges;                ///< of the columns: one more than there are, rising
  std::vector<std::vector<double>> values;  ///< of each row, from the bottom; not below 0
  std::vector<std::string> row_names;       ///< of each row; an empty one is not shown
};

/// Shades of one colour, with a bar that tells what they stand for. The numbers of each row stand
/// in <g data-row data-values>, to three digits.
std::string svg_of(const HeatMap& map);

}  // namespace adaspan
