// SPDX-License-Identifier: MIT
#include "app/spans_page.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/text_reading.h"

using namespace adaspan;

namespace {

const NamedChart& named(const std::vector<NamedChart>& charts, const std::string& name) {
  for (const NamedChart& chart : charts) {
    if (chart.name == name) return chart;
  }
  FAIL("no chart " << name);
  return charts.at(0);
}

/// The numbers of each attribute of this name, in order.
std::vector<std::vector<double>> numbers_of(const std::string& svg, const std::string& attribute) {
  std::vector<std::vector<double>> all;
  const std::string begin = " " + attribute + "=\"";
  for (size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const size_t from = at + begin.size();
    std::istringstream numbers(svg.substr(from, svg.find('"', from) - from));
    all.emplace_back(std::istream_iterator<double>(numbers), std::istream_iterator<double>());
  }
  return all;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_CASE("the charts of a short text have all its numbers") {
  const TextReading reading = reading_of(40);
  const auto charts = charts_of(reading);
  CHECK(charts.size() == 5);
  const std::string& mean = named(charts, "mean-over-text").svg;
  const auto places = numbers_of(mean, "data-x").at(0),
             means = numbers_of(mean, "data-values").at(0);
  REQUIRE(means.size() == 40);
  for (int64_t t = 0; t < 40; ++t) {
    CHECK(places[static_cast<size_t>(t)] == static_cast<double>(t));
    CHECK(means[static_cast<size_t>(t)] ==
          doctest::Approx(reading.spans.mean_of_token(t)).epsilon(1e-4));
  }
  const auto layers = numbers_of(named(charts, "layers-over-text").svg, "data-values");
  const auto heads = numbers_of(named(charts, "heads-over-text").svg, "data-values");
  REQUIRE(layers.size() == L);
  REQUIRE(heads.size() == L * K);
  for (int64_t t = 0; t < 40; ++t) {
    const auto at = static_cast<size_t>(t);
    for (int64_t l = 0; l < L; ++l) {
      CHECK(layers[static_cast<size_t>(l)].at(at) ==
            doctest::Approx(reading.spans.mean_of_layer(t, l)).epsilon(0.01));
      for (int64_t h = 0; h < K; ++h) {
        CHECK(heads[static_cast<size_t>(l * K + h)].at(at) == reading.spans.at(t, l, h));
      }
    }
  }
  const std::string& over_distance = named(charts, "weights-over-distance").svg;
  CHECK(numbers_of(over_distance, "data-x").at(0) == std::vector<double>{1, 2, 3, 4, 5});
  CHECK(numbers_of(over_distance, "data-values").at(0) == reading.attention.by_distance);
  const auto last = numbers_of(named(charts, "weights-of-last").svg, "data-values");
  REQUIRE(last.size() == 40);
  for (size_t t = 0; t < 40; ++t) CHECK(last[t] == reading.attention.recent[t]);
}

TEST_CASE("every chart says what it is to those who do not see it") {
  for (const NamedChart& chart : charts_of(reading_of(40))) {
    CHECK(chart.svg.find("role=\"img\"") != std::string::npos);
    CHECK(chart.svg.find("<title id=\"" + chart.name + "-t\">") != std::string::npos);
    CHECK(chart.svg.find("<desc id=\"" + chart.name + "-d\">") != std::string::npos);
    CHECK(chart.svg.find("nan") == std::string::npos);
    CHECK(chart.svg.find("inf") == std::string::npos);
  }
}

TEST_CASE("of a long text the chart keeps the extremes, and means of heads") {
  const TextReading reading = reading_of(20000);
  const auto charts = charts_of(reading);
  const auto means = numbers_of(named(charts, "mean-over-text").svg, "data-values").at(0);
  CHECK(means.size() < 1000);
  double low = 1e9, high = 0;
  for (int64_t t = 0; t < 20000; ++t) {
    low = std::min(low, reading.spans.mean_of_token(t));
    high = std::max(high, reading.spans.mean_of_token(t));
  }
  CHECK(*std::ranges::min_element(means) == doctest::Approx(low).epsilon(1e-4));
  CHECK(*std::ranges::max_element(means) == doctest::Approx(high).epsilon(1e-4));
  const std::string& heads = named(charts, "heads-over-text").svg;
  const auto each = static_cast<int64_t>(numbers_of(heads, "data-each").at(0).at(0));
  CHECK(each > 20000 / 300);
  double sum = 0;
  for (int64_t t = each; t < 2 * each; ++t) sum += reading.spans.at(t, 1, 0);
  CHECK(numbers_of(heads, "data-values").at(K).at(1) ==
        doctest::Approx(sum / static_cast<double>(each)).epsilon(0.01));
  CHECK(page_of(reading, "c").size() < 3000000);
}

TEST_CASE("texts of one token, and spans that are the same for all, are drawn, too") {
  for (const SpanKind kind : {SpanKind::fixed, SpanKind::adaptive, SpanKind::dynamic}) {
    for (const int64_t tokens : {1, 2, 300}) {
      const auto charts = charts_of(reading_of(tokens, kind));
      CHECK(charts.size() == (kind == SpanKind::dynamic ? 5 : 2));
      for (const NamedChart& chart : charts) {
        CHECK(chart.svg.find("nan") == std::string::npos);
        CHECK(chart.svg.find("inf") == std::string::npos);
      }
    }
  }
  TextReading first = reading_of(1);
  first.attention.by_distance.clear();
  first.attention.recent = {{}};
  CHECK(charts_of(first).size() == 3);
}

TEST_CASE("the page stands alone, and has the text, the tables and what the script reads") {
  const TextReading reading = reading_of(1000);
  const std::string page = page_of(reading, "runs/a&b/c");
  CHECK(page.find("runs/a&amp;b/c") != std::string::npos);
  CHECK(page.find("http") == page.find("http://www.w3.org/2000/svg"));  // a name, not a link
  CHECK(count_of(page, "http") == count_of(page, "<svg "));
  CHECK(count_of(page, ">&lt;</i>") == 1000);
  CHECK(count_of(page, "<svg ") == 5);
  CHECK(page.find("<th scope=\"row\">zeros before the text</th><td>25.00%</td>") !=
        std::string::npos);
  CHECK(page.find("<td>999</td><td>&lt;</td><td>&lt; 2 back 75.0%, &lt; 1 back 6.2%</td>") !=
        std::string::npos);
  const std::string begin = "id=\"attended\">";
  const size_t from = page.find(begin) + begin.size();
  const auto attended =
      nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
  REQUIRE(attended.size() == 1000);
  CHECK(attended[0].empty());
  CHECK(attended[999] == nlohmann::json({2, 750, 1, 63}));
}

}  // namespace
