// SPDX-License-Identifier: MIT
// What all charts share: their frame, which is right by itself and takes its colours from the page
// it stands in where that sets them (--ink, --paper, --grid, --series-1 to --series-8).
#pragma once

#include <string>

namespace adaspan {

/// Text that stands in HTML or SVG as it is.
std::string escaped(const std::string& text);

struct NamedChart {
  std::string name;  ///< of a file, without an ending
  std::string svg;
};

/// What a chart is called, and what a screen reader says of it.
struct ChartTexts {
  std::string id;  ///< letters, digits and '-'; once in a page
  std::string title;
  std::string description;
};

inline constexpr int kSeries = 8;  ///< colours

/// The colour of a series, from 0: "--series-1" and so on, over again after the last.
std::string series_colour(size_t series);

/// A text of a chart; `more` are further attributes.
std::string svg_text(double x, double y, const char* anchor, const std::string& text,
                     const std::string& more = "");

/// The whole file, of this size in pixels, with its title above.
std::string svg_frame(const ChartTexts& texts, double width, double height,
                      const std::string& content);

/// At most `most` characters (of UTF-8); of a longer one the end, after an ellipsis.
std::string shortened(const std::string& text, size_t most);

}  // namespace adaspan
