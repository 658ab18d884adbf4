// SPDX-License-Identifier: MIT
#include "app/page/html.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "app/output.h"

namespace adaspan {

std::string html_table(const std::string& caption,
                       const std::vector<std::vector<std::string>>& rows, const char* css_class) {
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" "
      "aria-label=\"{0}\"><table{1}><caption>{0}</caption>\n",
      caption, *css_class ? fmt::format(" class=\"{}\"", css_class) : "");
  for (size_t r = 0; r < rows.size(); ++r) {
    out += "<tr>";
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const bool head = r == 0 || c == 0;
      const char* scope = r == 0 ? " scope=\"col\"" : c == 0 ? " scope=\"row\"" : "";
      out += fmt::format("<{0}{1}>{2}</{0}>", head ? "th" : "td", scope, rows[r][c]);
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string html_details(const std::string& summary, const std::string& content) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary, content);
}

std::string html_figure(const NamedChart& chart, const std::string& caption,
                        const std::string& numbers) {
  return fmt::format(
      "<figure id=\"{0}\"><div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Chart: "
      "{0}\">{1}</div>\n<figcaption>{2}</figcaption>\n{3}</figure>\n",
      chart.name, chart.svg, caption, html_details("Numbers", numbers));
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "–";
  if (value >= 1e4 && value < 1e15) return with_commas(std::llround(value));
  return fmt::format("{:.4g}", value);
}

std::string table_of_lines(const LineChart& chart) {
  std::vector<std::vector<std::string>> rows = {
      {"line", escaped(chart.x.title()), escaped(chart.y.title())}};
  const size_t each = 24 / std::max<size_t>(1, chart.lines.size());
  for (const Line& line : chart.lines) {
    for (const size_t i : spread_places(line.points.x.size(), std::max<size_t>(1, each))) {
      rows.push_back(
          {escaped(line.name), number_text(line.points.x[i]), number_text(line.points.y[i])});
    }
  }
  return html_table(escaped(chart.texts.title), rows);
}

}  // namespace adaspan
