// SPDX-License-Identifier: MIT
#include "app/text_cells.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "app/spans_text.h"

using namespace adaspan;

namespace {

std::vector<TextCell> cells_of(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return text_cells(ids, Vocabulary::of_bytes(), TextFormat::bytes);
}

TEST_CASE("a cell is a character, of as many tokens as it has bytes") {
  const auto cells = cells_of("a\u00e9\u4e16\n\xff\x01 ");
  const std::vector<std::string> shown = {"a",      "\u00e9", "\u4e16", "\u21b5",
                                          "\u00b7", "\u00b7", " "};
  const std::vector<int64_t> tokens = {1, 2, 3, 1, 1, 1, 1}, columns = {1, 1, 2, 1, 1, 1, 1};
  REQUIRE(cells.size() == shown.size());
  int64_t first = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    CHECK(cells[i].first == first);
    CHECK(cells[i].tokens == tokens[i]);
    CHECK(cells[i].shown == shown[i]);
    CHECK(cells[i].columns == columns[i]);
    CHECK(static_cast<int64_t>(cells[i].text.size()) == tokens[i]);
    first += tokens[i];
  }
}

TEST_CASE("of words each is a cell, and so is the end of a line") {
  Vocabulary vocabulary;
  const std::vector<int32_t> ids = {vocabulary.add({"na\u00efve"}), vocabulary.add(kEndOfLine),
                                    vocabulary.add({"a"})};
  const auto cells = text_cells(ids, vocabulary, TextFormat::words);
  REQUIRE(cells.size() == 3);
  CHECK(cells[0].shown == "na\u00efve");
  CHECK(cells[0].columns == 5);
  CHECK(cells[1].shown == "\u21b5");
  CHECK(cells[2].first == 2);
  CHECK(cells[2].tokens == 1);
}

TEST_CASE("shares by distance are in ranges that double, and leave nothing out") {
  AttentionOverText attention;
  for (int d = 1; d <= 11; ++d) attention.by_distance.push_back(d);
  const auto shares = shares_by_distance(attention);
  const std::vector<std::vector<double>> expected = {
      {1, 1, 1}, {2, 2, 2}, {3, 4, 7}, {5, 8, 26}, {9, 11, 30}};
  REQUIRE(shares.size() == expected.size());
  for (size_t i = 0; i < shares.size(); ++i) {
    CHECK(static_cast<double>(shares[i].from) == expected[i][0]);
    CHECK(static_cast<double>(shares[i].to) == expected[i][1]);
    CHECK(shares[i].weight == expected[i][2]);
  }
}

}  // namespace
