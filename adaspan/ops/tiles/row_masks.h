// SPDX-License-Identifier: MIT
// What each query sees: how far back a tile looks, and the mask and dropout of a row of scores.
// Another kind of mask (block patterns) is another class with these functions; tiles and products
// know rows of E numbers alone.
#pragma once

#include <vector>

#include <adaspan/ops/span_attention_tiles.h>
#include <adaspan/ops/tiles/tile_geometry.h>
#include <adaspan/ops/tiles/tile_operands.h>

namespace adaspan {

/// Buffers of one thread, for one row at a time.
class RowMasks {
 public:
  RowMasks(const SpanAttentionValues& x, const SpanAttentionOptions& options,
           const SpanRowKernels& kernels);

  /// For each tile of sequence b and head h, its largest effective span.
  std::vector<int64_t> tile_spans(int64_t b, int64_t h) const;

  /// The softmax of the tile's row i; good until the next call.
  SoftmaxRow row(int64_t b, int64_t h, const Tile& tile, int64_t i);

 private:
  float span(int64_t t, int64_t b, int64_t h) const;
  const float* kept(int64_t b, int64_t h, int64_t t, int64_t E);

  const SpanAttentionValues& x_;
  const SpanAttentionOptions& options_;
  const SpanAttentionSizes n_;
  const SpanRowKernels& kernels_;
  const float factor_;  ///< 1/sqrt(D)
  MaskedRow masked_{};  ///< what mask_ and slope_ hold
  Scratch<float> mask_, slope_;
  Scratch<float> ones_, keep_;  ///< for dropout
};

}  // namespace adaspan
