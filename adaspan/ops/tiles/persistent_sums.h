// SPDX-License-Identifier: MIT
// Where the gradients of persistent vectors are added up: over the sequences of a part of the work,
// then over parts.
#pragma once

#include <algorithm>

#include <adaspan/core/parallel.h>
#include <adaspan/ops/kernels/row_kernels.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

/// Where the gradients of a head's persistent keys and values are added up: [P, width] each.
struct PersistentSums {
  float *keys = nullptr, *values = nullptr;
};

/// Gradients of persistent vectors: each part of the work adds up its own, for each head that it
/// has sequences of.
class PersistentParts {
 public:
  /// step: sequences and heads of a part
  PersistentParts(const SpanAttentionSizes& n, int64_t width, int64_t step)
      : n_(n), width_(width), step_(step) {
    if (n.P == 0) return;
    for (int64_t part = 0; part < parts_; ++part) {
      most_heads_ = std::max(most_heads_, last_head(part) - first_head(part) + 1);
    }
    sums_ = Tensor::zeros({parts_ * most_heads_, 2, n.P + kSlack, width});
  }

  PersistentSums of(int64_t part, int64_t h) {
    if (n_.P == 0) return {};
    float* keys = sums_.data() + (part * most_heads_ + h - first_head(part)) * 2 * size();
    return {keys, keys + size()};
  }

  /// keys [K,D,P], values [K,P,D]
  void sum(SpanAttentionGradients& d) {
    if (n_.P == 0) return;
    d.persistent_keys = Tensor({n_.K, n_.D, n_.P});
    d.persistent_values = Tensor({n_.K, n_.P, n_.D});
    const int64_t pieces = chunk_count(n_.P, kVectorsPerPiece);
    parallel_chunks(n_.K * pieces, 1, [&](int64_t piece, int64_t) {
      const int64_t h = piece / pieces, begin = piece % pieces * kVectorsPerPiece;
      const int64_t end = std::min(begin + kVectorsPerPiece, n_.P);
      const PersistentSums all = summed(h, begin, end);
      for (int64_t j = begin; j < end; ++j) {
        for (int64_t c = 0; c < n_.D; ++c) {
          d.persistent_keys.data()[(h * n_.D + c) * n_.P + j] = all.keys[j * width_ + c];
          d.persistent_values.data()[(h * n_.P + j) * n_.D + c] = all.values[j * width_ + c];
        }
      }
    });
  }

 private:
  static constexpr int64_t kVectorsPerPiece = 64;

  /// Vectors begin .. end-1 of head h, added up over parts, in order, where the first has them.
  PersistentSums summed(int64_t h, int64_t begin, int64_t end) {
    PersistentSums all;
    const int64_t first = begin * width_, n = (end - begin) * width_;
    for (int64_t part = 0; part < parts_; ++part) {
      if (h < first_head(part) || h > last_head(part)) continue;
      const PersistentSums next = of(part, h);
      if (all.keys == nullptr) {
        all = next;
        continue;
      }
      row_kernels<float>().add_scaled(all.keys + first, 1, next.keys + first, n);
      row_kernels<float>().add_scaled(all.values + first, 1, next.values + first, n);
    }
    return all;
  }
  int64_t size() const { return (n_.P + kSlack) * width_; }
  int64_t first_head(int64_t part) const { return n_.place(part * step_).h; }
  int64_t last_head(int64_t part) const {
    return n_.place(std::min((part + 1) * step_, n_.B * n_.K) - 1).h;
  }

  const SpanAttentionSizes n_;
  const int64_t width_, step_;
  const int64_t parts_ = chunk_count(n_.B * n_.K, step_);
  int64_t most_heads_ = 0;
  Tensor sums_;
};

}  // namespace adaspan
