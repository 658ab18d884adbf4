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
  /// The mean z of all heads, over the cell's tokens.
  double span_of(const TextCell& cell) const;
  /// The place of the cell that a token is part of.
  size_t cell_at(int64_t token) const;
  /// What a cell's last token attends to most.
  const std::vector<Attended>& attended_by(const TextCell& cell) const {
    return attention.strongest[static_cast<size_t>(cell.first + cell.tokens - 1)];
  }
};

/// "fixed", "adaptive", "dynamic"
const char* name(SpanKind kind);

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
