// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/score_tile.h"

#include <doctest/doctest.h>

namespace adaspan {
namespace {

constexpr int64_t E = 10, kRows = 8;  // of a tile; the last row of the tile is 5
const Tile kTile{.begin = 0, .rows = 6, .E = E, .first_key = 0, .fresh = {}, .finished = {}};

constexpr float kPersistent = 128;

float number(int64_t i, int64_t j) {
  return static_cast<float>(1 + i * 16 + j);  // a bf16 holds it
}

/// As products leave it: with rubbish around the scores and below.
ScoreTile filled(const TileLayout& layout) {
  ScoreTile tile(layout);
  std::fill_n(tile.row(0), layout.size(), -7.0f);
  for (int64_t i = 0; i < kTile.rows; ++i) {
    for (int64_t j = 0; j < E; ++j) tile.band(i)[j] = number(i, j);
    for (int64_t j = 0; j < layout.P; ++j) {
      tile.band(i)[layout.persistent(E) + j] = number(i, j) + kPersistent;
    }
  }
  tile.clear_margins(0, kTile.rows, E);
  tile.clear_below(kTile);
  return tile;
}

/// What products should find in row i at a distance's column, E of them, or in the margins.
float expected(int64_t i, int64_t j) {
  return i < kTile.rows && j >= 0 && j < E ? number(i, j) : 0;
}
/// ... at that of a persistent vector, P of them, or behind.
float expected_persistent(int64_t i, int64_t j, int64_t P) {
  return i < kTile.rows && j < P ? number(i, j) + kPersistent : 0;
}

/// Number n of the group that `a` has of row i, group g (or, by columns: column i, group g).
template <class T>
float read(const LeftOperand<T>& a, int64_t i, int64_t g, int64_t n) {
  return to_float(a.data[i * a.row + g * a.step + n]);
}

template <class T>
void check_operands(int64_t margin) {
  constexpr int64_t G = kGroup<T>;
  CAPTURE(G);
  const int64_t P = 6;
  const TileLayout layout(E, P, margin, 4);
  const ScoreTile tile = filled(layout);
  const SpanKernelTables kernels = span_kernels();
  TileByRows<T> rows(tile, kernels.rows);
  TileByColumns<T> keys(tile, 1, kernels.rows), distances(tile, 0, kernels.rows),
      vectors(tile, 0, kernels.rows);
  const int64_t first = layout.persistent(E);
  for (int64_t i = 0; i < kRows; i += 2) {
    rows.take(i, 2, E);
    keys.take(i, 0, E);
    distances.take(i, 0, layout.length(E));
    vectors.take(i, first, P);
  }
  for (int64_t i = 0; i < kRows; ++i) {
    // Column c of slope 1 is distance c - i of row i: from within the left margin on.
    for (int64_t c = i - i % 2 - margin + G; c < i + E + margin - 1; ++c) {
      CAPTURE(i);
      CAPTURE(c);
      CHECK(read(keys.operand(), c, i / G, i % G) == expected(i, c - i));
    }
    for (int64_t j = 0; j < E + margin; ++j) {
      CHECK(read(distances.operand(), j, i / G, i % G) == expected(i, j));
    }
    for (int64_t j = 0; j < P + margin; ++j) {
      CHECK(read(distances.operand(first), j, i / G, i % G) == expected_persistent(i, j, P));
      CHECK(read(vectors.operand(first), j, i / G, i % G) == expected_persistent(i, j, P));
      CHECK(read(rows.operand(0, first), i, j / G, j % G) == expected_persistent(i, j, P));
    }
    for (int64_t g = -margin / G / 2; g < (E + margin) / G - kRows / G; ++g) {
      for (int64_t n = 0; n < G; ++n) {
        CHECK(read(rows.operand(0), i, g, n) == expected(i, g * G + n));
        CHECK(read(rows.operand(1), i, g, n) == expected(i, g * G + n - i));
      }
    }
  }
}

}  // namespace

TEST_CASE("margins and rows below the last are zeros, the band is left alone") {
  for (int64_t margin : {16, 48}) {
    const TileLayout layout(E, /*P=*/0, margin, 4);
    const ScoreTile tile = filled(layout);
    for (int64_t i = 0; i < layout.padded(kTile.rows); ++i) {
      for (int64_t j = -margin; j < E + margin; ++j) CHECK(tile.band(i)[j] == expected(i, j));
    }
  }
}

TEST_CASE("a tile is the same numbers by rows and by columns, keys and distances") {
  for (int64_t margin : {16, 48}) {
    check_operands<float>(margin);
    check_operands<bf16>(margin);
  }
}

}  // namespace adaspan
