// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/row_masks.h"

#include <algorithm>
#include <cmath>

#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

/// E of the widest row, and a vector beyond.
int64_t widest_row(const SpanAttentionOptions& options) {
  const auto& spans = options.effective_spans;
  return round_up(*std::max_element(spans.begin(), spans.end()), 2) + 16;
}

/// Numbers for the dropout of a row; none without.
int64_t kept_numbers(const SpanAttentionOptions& options, const TileLayout& layout) {
  return options.dropout.rate > 0 ? layout.length(widest_row(options)) : 0;
}

}  // namespace

RowMasks::RowMasks(const SpanAttentionValues& x, const SpanAttentionOptions& options,
                   const TileLayout& layout, const SpanRowKernels& kernels)
    : x_(x),
      options_(options),
      n_(sizes_of(x, options)),
      layout_(layout),
      kernels_(kernels),
      factor_(1 / std::sqrt(static_cast<float>(n_.D))),
      ones_(kept_numbers(options, layout)) {
  const int64_t kept = kept_numbers(options, layout);
  for (int64_t r = 0; r < kRowsTogether; ++r) buffers_.emplace_back(widest_row(options), kept);
  std::fill_n(ones_.data(), kept, 1.0f);
}

std::vector<int64_t> RowMasks::tile_spans(int64_t b, int64_t h) const {
  const int64_t most = options_.effective_spans[static_cast<size_t>(h)];
  std::vector<int64_t> spans(static_cast<size_t>(tile_count(n_.M)), most);
  if (!x_.dynamic()) return spans;
  for (int64_t t = 0; t < n_.M; t += kTileRows) {
    float z = 0;
    for (int64_t i = t; i < std::min(t + kTileRows, n_.M); ++i) z = std::max(z, span(i, b, h));
    spans[static_cast<size_t>(t / kTileRows)] =
        std::min(most, effective_span(z, options_.ramp, n_.S));
  }
  return spans;
}

/// Dropout's factor of each weight. A weight keeps its random number when the span changes:
/// numbered as if all S were there, and after them the P persistent ones.
const float* RowMasks::kept(int64_t r, int64_t b, int64_t h, int64_t t, int64_t E) {
  const Dropout& dropout = options_.dropout;
  float* keep = buffers_[static_cast<size_t>(r)].keep.data();
  const int64_t row = dropout.global_row(t * n_.B + b, n_.B);
  const int64_t number = (row * n_.K + h) * (n_.S + n_.P) + n_.S;  // of the first persistent one
  const auto fill = [&](int64_t column, int64_t first, int64_t n) {
    row_kernels<float>().dropout(keep + column, ones_.data(), dropout.rate, dropout.key,
                                 static_cast<uint64_t>(first), n);
  };
  const int64_t seen = std::min(E, n_.S);
  fill(E - seen, number - seen, seen);
  if (n_.P > 0) fill(layout_.persistent(E), number, n_.P);
  return keep;
}

}  // namespace adaspan
