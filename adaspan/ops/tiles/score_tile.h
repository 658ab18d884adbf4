// SPDX-License-Identifier: MIT
// A tile of numbers, one for each query and key that it sees: scores, then weights; or their
// gradients. And the same numbers as left operands of products.
#pragma once

#include <algorithm>

#include <adaspan/ops/kernels/span_kernels.h>
#include <adaspan/ops/tiles/scratch.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

/// Cells in f32. Products write past both ends of a row: its margins are cleared afterwards.
class ScoreTile {
 public:
  explicit ScoreTile(const TileLayout& layout) : layout_(layout), cells_(layout.size()) {}

  const TileLayout& layout() const { return layout_; }
  /// Row i from its left margin on.
  float* row(int64_t i) { return cells_.data() + layout_.row(i); }
  const float* row(int64_t i) const { return cells_.data() + layout_.row(i); }
  /// The first of the E numbers of row i.
  float* band(int64_t i) { return row(i) + layout_.margin; }
  const float* band(int64_t i) const { return row(i) + layout_.margin; }

  void clear_margins(int64_t first, int64_t count, int64_t E) {
    for (int64_t i = first; i < first + count; ++i) {
      std::fill_n(row(i), layout_.margin, 0.0f);
      std::fill_n(band(i) + E, layout_.margin, 0.0f);
      if (layout_.P > 0) std::fill_n(band(i) + layout_.length(E), layout_.margin, 0.0f);
    }
  }
  /// Whole rows below the tile's last one, as far as products read them.
  void clear_below(const Tile& tile) {
    for (int64_t i = tile.rows; i < layout_.padded(tile.rows); ++i) {
      std::fill_n(row(i), layout_.length(tile.E) + 2 * layout_.margin, 0.0f);
    }
  }

 private:
  const TileLayout layout_;
  Scratch<float> cells_;
};

/// A tile as the left operand of mix: by rows. Floats are read where they are; bf16 are copies at
/// the same places, made a row at a time while it is in the cache.
template <class T>
class TileByRows {
  static constexpr bool kCopies = kGroup<T> > 1;

 public:
  TileByRows(const ScoreTile& tile, const SpanRowKernels& kernels)
      : tile_(tile), kernels_(kernels), copy_(kCopies ? tile.layout().size() : 0) {}

  /// Takes over rows from i on, with their margins.
  void take(int64_t i, int64_t rows, int64_t E) {
    if constexpr (kCopies) {
      const TileLayout& layout = tile_.layout();
      kernels_.to_bf16({copy_.data() + layout.row(i), layout.stride + 1},
                       {tile_.row(i), layout.stride + 1}, nullptr, rows,
                       layout.length(E) + 2 * layout.margin);
    }
  }

  /// From column `first` on. slope as in Band: 1 for keys, 0 for distances and persistent vectors
  LeftOperand<T> operand(int64_t slope, int64_t first = 0) const {
    const int64_t row = tile_.layout().stride + 1 - slope;
    if constexpr (kCopies) {
      return {copy_.data() + tile_.layout().margin + first, row, kGroup<T>};
    } else {
      return {tile_.band(0) + first, row, kGroup<T>};
    }
  }

 private:
  const ScoreTile& tile_;
  const SpanRowKernels& kernels_;
  Scratch<T> copy_;
};

/// A tile as the left operand of scatter: by columns of slope 1 (keys) or 0 (distances, persistent
/// vectors). Floats are read where they are; bf16 are copied in pairs of a column's rows i and i+1,
/// i even.
template <class T>
class TileByColumns {
  static constexpr bool kCopies = kGroup<T> > 1;

 public:
  TileByColumns(const ScoreTile& tile, int64_t slope, const SpanRowKernels& kernels,
                bool used = true)
      : tile_(tile),
        slope_(slope),
        left_(slope == 1 ? tile.layout().margin : 0),
        kernels_(kernels),
        pairs_(kCopies && used ? tile.layout().size() : 0) {}

  /// Takes over `count` columns of rows i and i+1, from column `first` on, with the margins around
  /// them. Where columns are keys, row i+1 begins a column later: a column more in all, and on its
  /// left one zero more of its margin.
  void take(int64_t i, int64_t first, int64_t count) {
    if constexpr (kCopies) {
      const int64_t stride = tile_.layout().stride;
      const float* upper = tile_.band(i) + first - left_;
      kernels_.to_pairs(pairs_.data() + i * (stride + 2 * slope_) + 2 * first, upper,
                        upper + stride + 1 - slope_, left_ + count + tile_.layout().margin);
    }
  }

  LeftOperand<T> operand(int64_t first = 0) const {
    const int64_t stride = tile_.layout().stride;
    if constexpr (kCopies) {
      return {pairs_.data() + 2 * (left_ + first), 2, 2 * stride};
    } else {
      return {tile_.band(0) + first, 1, stride + 1 - slope_};
    }
  }

 private:
  const ScoreTile& tile_;
  const int64_t slope_;
  const int64_t left_;  ///< of the left margin, the columns that a row of pairs begins with
  const SpanRowKernels& kernels_;
  Scratch<T> pairs_;
};

}  // namespace adaspan
