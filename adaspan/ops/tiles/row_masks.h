// SPDX-License-Identifier: MIT
// What each query sees: how far back a tile looks, and the mask and dropout of a row of scores.
// Another kind of mask (block patterns) is another class with these functions; tiles and products
// know rows of E numbers alone.
#pragma once

#include <algorithm>
#include <vector>

#include <adaspan/ops/tiles/span_attention_passes.h>
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
  SoftmaxRow row(int64_t b, int64_t h, const Tile& tile, int64_t i) {
    const int64_t t = tile.begin + i;
    int64_t first = std::max(int64_t{0}, tile.E - options_.effective_spans[static_cast<size_t>(h)]);
    if (options_.skip_missing) {
      const int64_t oldest = -options_.memory_steps[static_cast<size_t>(h)];
      first = std::clamp(oldest - (t - tile.E), first, tile.E);
    }
    const MaskedRow masked{
        .E = tile.E, .first = first, .z = span(t, b, h), .ramp = static_cast<float>(options_.ramp)};
    if (masked != masked_) {  // it is the same for most rows of a head
      kernels_.span_mask(mask_.data(), slope_.data(), masked);
      masked_ = masked;
    }
    const bool drops = options_.dropout.rate != 0;
    return {tile.E, mask_.data(), slope_.data(), factor_, drops ? kept(b, h, t, tile.E) : nullptr};
  }

 private:
  float span(int64_t t, int64_t b, int64_t h) const {
    if (x_.z == nullptr) return static_cast<float>(n_.S);
    return x_.z->data()[x_.dynamic() ? (t * n_.B + b) * n_.K + h : h];
  }
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
