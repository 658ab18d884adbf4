// SPDX-License-Identifier: MIT
// Right operands that many tiles share: the positions, and the persistent vectors of each head.
#pragma once

#include <algorithm>
#include <vector>

#include <adaspan/core/parallel.h>
#include <adaspan/ops/tiles/scratch.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

/// n vectors of a head's width as right operands: as columns and as rows, zeros at first.
template <class T>
class VectorOperands {
  static constexpr int64_t G = kGroup<T>;

 public:
  VectorOperands(int64_t n, int64_t width)
      : width_(width),
        stride_(odd_stride(n + kSlack)),
        columns_(width * stride_),
        rows_(stride_ * width) {}

  void set(int64_t j, int64_t d, float x) {
    const T value = from_float<T>(x);
    columns_.data()[(d / G * stride_ + j) * G + d % G] = value;
    rows_.data()[(j / G * width_ + d) * G + j % G] = value;
  }

  int64_t stride() const { return stride_; }
  /// [width, stride] in groups along the width, from vector `first` on
  const T* columns(int64_t first = 0) const { return columns_.data() + first * G; }
  /// [n - first, width] in groups of rows, from vector `first`, even, on
  const T* rows(int64_t first = 0) const { return rows_.data() + first * width_; }

 private:
  int64_t width_, stride_;
  Scratch<T> columns_, rows_;
};

/// Positions as right operands; column j is distance widest - j, zero beyond S, which no weight
/// reaches. The same for all heads: with positions per head (Transformer-XL) each has its own.
template <class T>
class PositionOperands {
 public:
  /// p [D,S]; widest: the largest E of all heads, even
  PositionOperands(const Tensor& p, int64_t widest, int64_t width)
      : widest_(widest), all_(widest, width) {
    const int64_t D = p.shape()[0], S = p.shape()[1], known = std::min(widest, S);
    parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
      for (int64_t d = 0; d < D; ++d) {
        const float* row = p.data() + d * S + S - known;
        for (int64_t i = begin; i < end; ++i) all_.set(widest - known + i, d, row[i]);
      }
    });
  }

  int64_t stride() const { return all_.stride(); }
  /// [width, stride] in groups along the width, from distance E on
  const T* columns(int64_t E) const { return all_.columns(widest_ - E); }
  /// [E, width] in groups of rows, from distance E on
  const T* rows(int64_t E) const { return all_.rows(widest_ - E); }

 private:
  int64_t widest_;
  VectorOperands<T> all_;
};

/// Persistent keys and values of each head; none where there are no such vectors.
template <class T>
class PersistentOperands {
 public:
  PersistentOperands(const SpanAttentionValues& x, const SpanAttentionSizes& n, int64_t width) {
    if (n.P == 0) return;
    for (int64_t h = 0; h < n.K; ++h) {
      keys_.emplace_back(n.P, width);
      values_.emplace_back(n.P, width);
    }
    const float* keys = x.persistent_keys->data();
    const float* values = x.persistent_values->data();
    parallel_chunks(n.P, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < n.K * n.D; ++i) {
        const int64_t h = i / n.D, d = i % n.D;
        for (int64_t j = begin; j < end; ++j) {
          keys_[static_cast<size_t>(h)].set(j, d, keys[i * n.P + j]);
          values_[static_cast<size_t>(h)].set(j, d, values[(h * n.P + j) * n.D + d]);
        }
      }
    });
  }

  const VectorOperands<T>& keys(int64_t h) const { return keys_[static_cast<size_t>(h)]; }
  const VectorOperands<T>& values(int64_t h) const { return values_[static_cast<size_t>(h)]; }

 private:
  std::vector<VectorOperands<T>> keys_, values_;
};

}  // namespace adaspan
