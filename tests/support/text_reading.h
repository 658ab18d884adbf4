// SPDX-License-Identifier: MIT
// What `adaspan spans` may have found.
#pragma once

#include "app/spans_text.h"

namespace adaspan {

inline constexpr int64_t L = 2, K = 3;

/// A text of T tokens; z and weights that can be told from place, layer and head.
inline TextReading reading_of(int64_t T, SpanKind kind = SpanKind::dynamic) {
  TextReading reading;
  reading.model.span_limit = 64;
  reading.spans = {.kind = kind, .tokens = T, .layers = L, .heads = K, .z = {}};
  for (int64_t t = 0; t < (kind == SpanKind::dynamic ? T : 1); ++t) {
    for (int64_t i = 0; i < L * K; ++i) {
      reading.spans.z.push_back(static_cast<float>((t * 7 + i * 3) % 50));
    }
  }
  AttentionOverText& a = reading.attention;
  a.head = {1, 2};
  a.by_distance = {0.5, 0.125, 0.0625, 0, 0.03125};
  a.before_start = 0.25;
  for (int64_t t = 0; t < T; ++t) {
    reading.cells.push_back({.first = t, .tokens = 1, .text = "<", .shown = "<", .columns = 1});
    a.strongest.push_back({});
    if (t > 1) a.strongest.back() = {{t - 2, 0.75}, {t - 1, 0.0625}};
    if (t >= T - AttentionOverText::kRecent) {
      a.recent.push_back({0.5, static_cast<double>(t % 5) / 10, 0, 0.25});
    }
  }
  return reading;
}

}  // namespace adaspan
