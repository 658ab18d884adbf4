// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/charts/axis.h"
#include "app/charts/heads_chart.h"
#include "app/charts/heat_map.h"
#include "app/charts/line_chart.h"
#include "app/charts/reduced.h"
#include "tests/support/read_svg.h"

using namespace adaspan;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string labels(const std::vector<Tick>& all) {
  std::string text;
  for (const Tick& tick : all) text += (text.empty() ? "" : " ") + tick.label;
  return text;
}

TEST_CASE("ticks are numbers of one digit, 1, 2 or 5") {
  CHECK(labels(ticks(0, 10, 5)) == "0 2 4 6 8 10");
  CHECK(labels(ticks(0.93, 1.41, 5)) == "1 1.1 1.2 1.3 1.4");
  CHECK(labels(ticks(-3, 3, 6)) == "-3 -2 -1 0 1 2 3");
  CHECK(labels(ticks(0, 600000, 6)) == "0 100k 200k 300k 400k 500k 600k");
  CHECK(labels(ticks(1, 1000, 6, true)) == "1 10 100 1000");
  CHECK(labels(ticks(30, 300, 6, true)) == "50 100 200");
  CHECK(labels(ticks(1.01, 1.52, 5, true)) == "1.2 1.4");
  CHECK(labels(ticks(1e-9, 1e9, 5, true)) == "1e-08 0.0001 1 10k 100M");
}

TEST_CASE("a scale has a place for each value, and none for what is no number") {
  const Scale linear{0, 10, 100, 200}, log{1, 100, 300, 100, true};
  CHECK(linear.at(2.5) == doctest::Approx(125));
  CHECK(log.at(10) == doctest::Approx(200));
  CHECK(std::isnan(linear.at(kNan)));
  CHECK(std::isnan(log.at(0)));
  const Scale flat = scale_of({.label = "y"}, 3, 3, 0, 100);
  CHECK(flat.low < 3);
  CHECK(flat.high > 3);
  const Scale none = scale_of({.label = "y"}, 1, -1, 0, 100);
  CHECK(none.low < none.high);
}

TEST_CASE("of each column the extremes stay, and gaps") {
  Points all;
  for (int i = 0; i < 10000; ++i) {
    all.x.push_back(i);
    all.y.push_back(i == 4321 ? 50 : i == 8765 ? -50 : std::sin(i));
  }
  for (int i = 6000; i < 6100; ++i) all.y[static_cast<size_t>(i)] = kNan;
  const Points few = reduced(all, {0, 9999, 0, 100}, 100);
  CHECK(few.x.size() <= 2 * 102 + 1);
  CHECK(few.x.size() >= 190);
  CHECK(std::count(few.y.begin(), few.y.end(), 50.0) == 1);
  CHECK(std::count(few.y.begin(), few.y.end(), -50.0) == 1);
  CHECK(std::count_if(few.y.begin(), few.y.end(), [](double y) { return std::isnan(y); }) == 1);
  CHECK(std::is_sorted(few.x.begin(), few.x.end()));
  const auto places = spread_places(10000);
  CHECK(places.size() == 200);
  CHECK(places.front() == 0);
  CHECK(places.back() == 9999);
  CHECK(spread_places(3).size() == 3);
  CHECK(spread_places(0).empty());
}

LineChart chart_of_two() {
  LineChart chart{{"loss", "Loss <of> two", "Two lines."}, {.label = "step"}, {"loss", "bpc"}, {}};
  chart.lines.push_back({"a & b", {{0, 10, 20, 30}, {4, 2, kNan, 1}}, 0});
  chart.lines.push_back({"c", {{0, 15, 30}, {3, 2.5, 2}}, 1, true});
  return chart;
}

TEST_CASE("lines can be read back, and are told apart without colour") {
  for (const bool log : {false, true}) {
    LineChart chart = chart_of_two();
    chart.y.log = log;
    const std::string svg = svg_of(chart);
    const auto lines = lines_in(svg);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].name == "a &amp; b");
    CHECK(lines[0].strokes == 2);
    REQUIRE(lines[0].y.size() == 3);
    CHECK(lines[0].y[0] == doctest::Approx(4).epsilon(1e-3));
    CHECK(lines[0].y[2] == doctest::Approx(1).epsilon(1e-3));
    CHECK(lines[1].x[1] == doctest::Approx(15).epsilon(1e-3));
    CHECK(lines[1].y[1] == doctest::Approx(2.5).epsilon(1e-3));
    CHECK(svg.find("Loss &lt;of&gt; two") != std::string::npos);
    CHECK(svg.find(">loss (bpc)<") != std::string::npos);
    CHECK(svg.find("role=\"img\"") != std::string::npos);
    CHECK(svg.find("aria-labelledby=\"loss-t loss-d\"") != std::string::npos);
    CHECK(attributes_of(svg, "stroke-dasharray").size() == 2);  // line and legend of the second
    CHECK(attributes_of(svg, "class").size() > 6);
  }
}

TEST_CASE("a legend of very many lines ends with how many more there are") {
  LineChart chart = chart_of_two();
  for (int i = 0; i < 98; ++i) chart.lines.push_back({"x", {{0, 1}, {1, 2}}, 2});
  const std::string svg = svg_of(chart);
  CHECK(svg.find("and 89 more") != std::string::npos);
  CHECK(lines_in(svg).size() == 100);
}

TEST_CASE("a chart of nothing is one") {
  const std::string svg = svg_of(LineChart{{"n", "None", ""}, {"x"}, {"y"}, {}});
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}

TEST_CASE("heads can be read back") {
  const HeadsChart chart{{"heads", "Heads", "Spans."}, {"span", "tokens"}, {{1, 20}, {300, 4.5}}};
  const std::string svg = svg_of(chart);
  CHECK(attributes_of(svg, "data-value") == std::vector<std::string>{"1", "20", "300", "4.5"});
  CHECK(attributes_of(svg, "data-layer") == std::vector<std::string>{"0", "0", "1", "1"});
  const auto y = attributes_of(svg, "cy");
  CHECK(std::stod(y.at(2)) < std::stod(y.at(1)));  // the largest at the top
}

TEST_CASE("a heat map can be read back, and is stronger where values are larger") {
  const HeatMap map{{"map", "Map", "Values."}, {"step"}, {"head"}, "tokens", {0, 1, 2, 3},
                    {{0, 1, 2}, {3, 3, kNan}}, {"0", ""}};
  const std::string svg = svg_of(map);
  CHECK(attributes_of(svg, "data-values") == std::vector<std::string>{"0 1 2", "3 3 nan"});
  const size_t full = svg.find("opacity=\"1.00\" d=\"M");
  REQUIRE(full != std::string::npos);
  CHECK(svg.substr(full, svg.find("/>", full) - full).find("M70.0 34.0h320.0") !=
        std::string::npos);  // both 3s as one
}

TEST_CASE("long names keep their ends") {
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdef", 4) == "…def");
  CHECK(shortened("äöüß", 3) == "…üß");
}

}  // namespace
