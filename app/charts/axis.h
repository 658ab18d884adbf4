// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace adaspan {

struct Axis {
  std::string label;
  std::string unit{};  ///< shown after the label; may be empty
  bool log = false;
  std::optional<double> low{}, high{};  ///< where the data alone do not decide

  /// "gradient norm (unit)"
  std::string title() const;
};

struct Tick {
  double value;
  std::string label;
};

/// About as many numbers from low to high as asked for, steps of 1, 2 or 5 x 10^k; of a logarithmic
/// axis powers of ten, and 2 and 5 times these where there are fewer than three. low < high, and
/// low > 0 of a logarithmic axis.
std::vector<Tick> ticks(double low, double high, int about, bool log = false);

/// From a value to a place in pixels: low lies at `from`, high at `to`.
struct Scale {
  double low, high, from, to;
  bool log = false;

  /// NaN for values that have no place: NaN, infinite, and none above 0 on a logarithmic one.
  double at(double value) const;
};

/// The scale of an axis over values that reach from low to high; of a linear one, an end that the
/// axis does not set is widened by a hundredth of the range.
Scale scale_of(const Axis& axis, double low, double high, double from, double to);

/// Lines of the grid, numbers and titles of both axes; a plot's place is that of the scales.
std::string drawn_axes(const Axis& x_axis, const Scale& x, const Axis& y_axis, const Scale& y);
/// The parts of it.
std::string drawn_x_ticks(const Scale& x, const Scale& y);
std::string drawn_y_ticks(const Scale& x, const Scale& y);
std::string drawn_titles(const Axis& x_axis, const Scale& x, const Axis& y_axis, const Scale& y);

}  // namespace adaspan
