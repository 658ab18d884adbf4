// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "app/charts/line_chart.h"

namespace adaspan {

/// A table with a caption; the first row names the columns, the first cell of each other row the
/// row. Cells are HTML.
std::string html_table(const std::string& caption,
                       const std::vector<std::vector<std::string>>& rows,
                       const char* css_class = "");

/// What a reader opens to see it.
std::string html_details(const std::string& summary, const std::string& content);

/// A chart, what it shows, and its numbers behind a summary.
std::string html_figure(const NamedChart& chart, const std::string& caption,
                        const std::string& numbers);

/// Some points of each line, about 24 in all, at least the last of each.
std::string table_of_lines(const LineChart& chart);

/// "0.001234", "12.35", "51,783"
std::string number_text(double value);

}  // namespace adaspan
