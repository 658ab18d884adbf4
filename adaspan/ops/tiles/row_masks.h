// SPDX-License-Identifier: MIT
// What each query sees: how far back a tile looks, and the masks and dropout of rows of scores.
// Another kind of mask (block patterns) is another class with these functions; tiles and products
// know rows of E numbers alone.
#pragma once

#include <algorithm>
#include <vector>

#include <adaspan/ops/tiles/scratch.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

/// Buffers of one thread, for a few rows at a time.
class RowMasks {
 public:
  RowMasks(const SpanAttentionValues& x, const SpanAttentionOptions& options,
           const TileLayout& layout, const SpanRowKernels& kernels);

  /// For each tile of sequence b and head h, its largest effective span.
  std::vector<int64_t> tile_spans(int64_t b, int64_t h) const;

  /// The softmax of the tile's rows from i on: as many as are made together, or are left. Good
  /// until the next call.
  SoftmaxRows rows(int64_t b, int64_t h, const Tile& tile, int64_t i) {
    SoftmaxRows rows{.E = tile.E,
                     .persistent = layout_.persistent(tile.E),
                     .P = n_.P,
                     .factor = factor_,
                     .stride = layout_.stride + 1,
                     .count = std::min(kRowsTogether, tile.rows - i),
                     .row = {}};
    const Buffers* same = nullptr;
    for (int64_t r = 0; r < rows.count; ++r) {
      const MaskedRow masked = masked_row(b, h, tile, i + r);
      // It is the same for most rows of a head.
      if (same == nullptr || masked != same->masked) same = &filled(r, masked);
      rows.row[r] = {
          same->mask.data(), same->slope.data(),
          options_.dropout.rate != 0 ? kept(r, b, h, tile.begin + i + r, tile.E) : nullptr};
    }
    return rows;
  }

 private:
  struct Buffers {
    /// E of the widest row; `kept`: numbers for dropout
    Buffers(int64_t E, int64_t kept) : mask(E), slope(E), keep(kept) {}
    MaskedRow masked{};  ///< what mask and slope hold
    Scratch<float> mask, slope, keep;
  };

  MaskedRow masked_row(int64_t b, int64_t h, const Tile& tile, int64_t i) const {
    const int64_t t = tile.begin + i;
    int64_t first = std::max(int64_t{0}, tile.E - options_.effective_spans[static_cast<size_t>(h)]);
    if (options_.skip_missing) {
      const int64_t oldest = -options_.memory_steps[static_cast<size_t>(h)];
      first = std::clamp(oldest - (t - tile.E), first, tile.E);
    }
    return {tile.E, first, span(t, b, h), static_cast<float>(options_.ramp)};
  }
  const Buffers& filled(int64_t r, const MaskedRow& masked) {
    Buffers& buffers = buffers_[static_cast<size_t>(r)];
    if (masked != buffers.masked) {
      kernels_.span_mask(buffers.mask.data(), buffers.slope.data(), masked);
      buffers.masked = masked;
    }
    return buffers;
  }
  float span(int64_t t, int64_t b, int64_t h) const {
    if (x_.z == nullptr) return static_cast<float>(n_.S);
    return x_.z->data()[x_.dynamic() ? (t * n_.B + b) * n_.K + h : h];
  }
  const float* kept(int64_t r, int64_t b, int64_t h, int64_t t, int64_t E);

  const SpanAttentionValues& x_;
  const SpanAttentionOptions& options_;
  const SpanAttentionSizes n_;
  const TileLayout layout_;
  const SpanRowKernels& kernels_;
  const float factor_;            ///< 1/sqrt(D)
  std::vector<Buffers> buffers_;  ///< of kRowsTogether rows
  Scratch<float> ones_;           ///< for dropout
};

}  // namespace adaspan
