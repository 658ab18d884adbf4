// SPDX-License-Identifier: MIT
// Which queries are worked on together, which keys they see, and where their scores lie. Integers
// only: no tensor and no kernel.
//
// A head of a sequence is worked on tile by tile, 64 queries each. Its keys are numbered from the
// oldest one that any of its queries sees: key n is step n - back of the block, so that the first
// `back` keys are memory (or missing) and key back + t is that of query t.
//
//     key       0 . . . . . . back . . . . . . . . back+M-1
//     tile 0    [- E -)                      row i sees keys [first_key + i, first_key + i + E)
//                [- E -)
//     tile 1              [- E -)
#pragma once

#include <cstdint>
#include <vector>

namespace adaspan {

inline constexpr int64_t kTileRows = 64;
/// Columns and rows that blocks of products may read or write beyond the last.
inline constexpr int64_t kSlack = 128;

constexpr int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// A row stride of at least n whose cache lines, from row to row, do not fall on each other.
constexpr int64_t odd_stride(int64_t n) {
  return (round_up(n, 16) / 16 | 1) * 16;
}

/// Rows begin .. end-1.
struct Rows {
  int64_t begin, end;
  bool operator==(const Rows&) const = default;
};

struct Tile {
  int64_t begin, rows;  ///< queries
  int64_t E;            ///< keys that each query sees, even
  int64_t first_key;    ///< of row 0
  Rows fresh;           ///< keys to gather: no tile before this one needed them. In whole 16s
  Rows finished;        ///< keys that this tile sees, or one before, and none after
  bool operator==(const Tile&) const = default;
};

struct HeadTiles {
  int64_t back = 0;  ///< steps before the block that some query sees
  std::vector<Tile> tiles;
};

constexpr int64_t tile_count(int64_t M) {
  return (M + kTileRows - 1) / kTileRows;
}

/// The tiles of M queries; spans: for each tile, how far back its queries look (at least 1).
HeadTiles head_tiles(int64_t M, const std::vector<int64_t>& spans);

/// Where the scores of one tile lie: as ops/kernels/span_kernels.h draws them, with zeros on both
/// sides of each row. Scores of P persistent vectors, if there are any, come after that in the same
/// row, so that one softmax goes over all:
///
///     margin | E scores | margin                               without
///     margin | E scores | margin | P scores | margin           with persistent vectors
struct TileLayout {
  /// widest: the largest E; P: persistent vectors; margin, row_block: as the products need them
  /// (SpanKernels).
  TileLayout(int64_t widest, int64_t P, int64_t margin, int64_t row_block);

  int64_t P, margin, row_block;
  int64_t stride;  ///< W: of rows whose columns are keys

  /// The place of row i's left margin. Its E scores follow, and its right margin.
  int64_t row(int64_t i) const { return i * (stride + 1); }
  /// The column of the first persistent score, where that of the first of E scores is 0.
  int64_t persistent(int64_t E) const { return E + margin; }
  /// Columns from the first score to the last.
  int64_t length(int64_t E) const { return P > 0 ? persistent(E) + P : E; }
  /// Numbers of the whole tile.
  int64_t size() const;
  /// Rows that products may touch: whole blocks, and whole groups of the sums over rows.
  int64_t padded(int64_t rows) const { return round_up(rows, row_block); }
};

}  // namespace adaspan
