// SPDX-License-Identifier: MIT
// What `adaspan spans` found, for a terminal of 80 columns and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/spans_over_text.h"
#include "app/text_cells.h"

namespace adaspan {

struct TextReading {
  std::vector<TextCell> cells;  ///< the text
  ModelConfig model;
  SpansOverText spans;
  AttentionOverText attention;
  bool words = false;  ///< tokens are words, which a space parts

  const char* unit() const { return words ? "word" : "character"; }
};

/// Shares of the weight by distance in ranges that double: 1, 2, 3-4, 5-8, ...
struct DistanceShare {
  int64_t from, to;
  double weight;
};
std::vector<DistanceShare> shares_by_distance(const AttentionOverText& attention);

/// The spans below the text (dynamic ones), the mean z of each head, the weights by distance, and
/// what the last characters attend to.
std::string text_of(const TextReading& reading);

/// One object for each token, then one for the whole.
std::vector<nlohmann::ordered_json> json_of(const TextReading& reading);

}  // namespace adaspan
