// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "app/charts/axis.h"
#include "app/charts/svg.h"

namespace adaspan {

/// The span of every head by layer, as figure 4 of the paper.
struct HeadsChart {
  ChartTexts texts;
  Axis y;
  std::vector<std::vector<double>> spans;  ///< of each layer and head
};

/// A dot for each head, heads of a layer next to each other, and the mean of each layer as a line:
/// <circle data-layer data-head data-value>. Layers and heads count from 0.
std::string svg_of(const HeadsChart& chart);

}  // namespace adaspan
