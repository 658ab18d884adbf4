// SPDX-License-Identifier: MIT
#include "app/spans_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/text_reading.h"

using namespace adaspan;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("the text tells spans, weights and what is attended to") {
  const std::string text = text_of(reading_of(4));
  // Means of (7t + 3i) % 50, i = 0 to 5: 7.5 more a token.
  CHECK(has(text, "\u2581 7.5 to \u2588 28.5):\n     0 <<<<\n       \u2581\u2583\u2586\u2588\n"));
  CHECK(has(text,
            "Mean z of each head, in steps (at most 64; * the one below):\n"
            "  layer  head 0  head 1  head 2\n"
            "      0    10.5    13.5    16.5\n"
            "      1    19.5    22.5   *25.5\n"));
  CHECK(has(text, "Where layer 1, head 2 looks"));
  CHECK(has(text, "                   1  50.00%  " + std::string(45, '#') + "\n"));
  CHECK(has(text, "                   2  12.50%  " + std::string(11, '#') + "\n"));
  CHECK(has(text, "                 3-4   6.25%  " + std::string(6, '#') + "\n"));
  CHECK(has(text, "                   5   3.12%  " + std::string(3, '#') + "\n"));
  CHECK(has(text, "     before the text  25.00%  " + std::string(23, '#') + "\n"));
  CHECK_FALSE(has(text, "persistent"));
  CHECK(has(text,
            "       1 <   nothing in the text\n"
            "       2 <      -2 < 75.0%      -1 <  6.2%\n"));
}

TEST_CASE("persistent vectors have a line, spans that are the same for all none of the text") {
  TextReading reading = reading_of(4, SpanKind::adaptive);
  reading.model.persistent = 8;
  reading.attention.persistent = 0.03125;
  const std::string text = text_of(reading);
  CHECK(has(text, "  persistent vectors   3.12%"));
  CHECK_FALSE(has(text, "How far back"));
}

TEST_CASE("as JSON there is an object for each token, and one for the whole") {
  TextReading reading = reading_of(3);
  reading.cells = {{.first = 0, .tokens = 2, .text = "\u00e9", .shown = "\u00e9", .columns = 1},
                   {.first = 2, .tokens = 1, .text = "a", .shown = "a", .columns = 1}};
  const auto lines = json_of(reading);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0]["text"] == "\u00e9");
  CHECK(lines[1]["text"] == "");
  CHECK(lines[1]["token"] == 1);
  CHECK(lines[2]["spans"][1][2] == reading.spans.at(2, 1, 2));
  CHECK(lines[2]["spans_by_layer"][1] == reading.spans.mean_of_layer(2, 1));
  CHECK(lines[2]["mean_span"] == reading.spans.mean_of_token(2));
  CHECK(lines[2]["attends_to"][0]["token"] == 0);
  CHECK(lines[2]["attends_to"][0]["text"] == "\u00e9");
  CHECK(lines[2]["attends_to"][0]["weight"] == 0.75);
  CHECK(lines[3]["tokens"] == 3);
  CHECK(lines[3]["span_kind"] == "dynamic");
  CHECK(lines[3]["layer"] == 1);
  CHECK(lines[3]["head"] == 2);
  CHECK(lines[3]["weights_by_distance"] == reading.attention.by_distance);
  CHECK(lines[3]["before_start"] == 0.25);
  CHECK(lines[3]["mean_spans"][1][2].get<float>() == reading.spans.mean_of_heads()[1][2]);
}

}  // namespace
