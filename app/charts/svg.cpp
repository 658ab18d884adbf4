// SPDX-License-Identifier: MIT
#include "app/charts/svg.h"

#include <fmt/core.h>

#include <array>

namespace adaspan {
namespace {

// Told apart by people who see no red or no green, too; each has contrast enough on white.
constexpr std::array<const char*, kSeries> kColours = {"#0b62b0", "#c24a00", "#00735a", "#a8327f",
                                                       "#7a5c00", "#3a3f9e", "#b3202c", "#4d5660"};

}  // namespace

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    safe += c == '&'   ? std::string("&amp;")
            : c == '<' ? "&lt;"
            : c == '>' ? "&gt;"
            : c == '"' ? "&quot;"
                       : std::string(1, c);
  }
  return safe;
}

std::string series_colour(size_t series) {
  const size_t n = series % kSeries;
  return fmt::format("var(--series-{},{})", n + 1, kColours[n]);
}

std::string svg_text(double x, double y, const char* anchor, const std::string& text,
                     const std::string& more) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, escaped(text));
}

std::string svg_frame(const ChartTexts& texts, double width, double height,
                      const std::string& content) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" role=\"img\" class=\"chart\" id=\"{2}-svg\" aria-labelledby=\"{2}-t "
      "{2}-d\">\n<title id=\"{2}-t\">{3}</title>\n<desc id=\"{2}-d\">{4}</desc>\n"
      "<style>.chart{{font:12px system-ui,sans-serif;fill:var(--ink,#1c2024)}}"
      ".chart .grid{{stroke:var(--grid,#d5d9de);fill:none}}"
      ".chart .line{{fill:none;stroke-linejoin:round}}"
      ".chart .back{{fill:var(--paper,#fff)}}</style>\n"
      "<rect class=\"back\" width=\"{0:g}\" height=\"{1:g}\"/>\n{5}{6}</svg>\n",
      width, height, texts.id, escaped(texts.title), escaped(texts.description),
      svg_text(12, 20, "start", texts.title, " font-weight=\"bold\" font-size=\"14\""), content);
}

std::string shortened(const std::string& text, size_t most) {
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  size_t characters = 0;
  for (const char c : text) characters += begins(c);
  if (characters <= most) return text;
  size_t at = 0;
  for (size_t left = characters - (most - 1); at < text.size(); ++at) {
    if (begins(text[at]) && left-- == 0) break;
  }
  return "…" + text.substr(at);
}

}  // namespace adaspan
