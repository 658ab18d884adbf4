// SPDX-License-Identifier: MIT
// What the products of a tile read, laid out for them: q, k, v and dout of one head and sequence,
// and the positions. Heads are padded to `width` columns, which stay zero.
#pragma once

#include <algorithm>
#include <cstring>

#include <adaspan/core/parallel.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

/// Zeroed memory for n numbers.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : buffer_(allocate(static_cast<size_t>(n) * sizeof(T))) {
    std::memset(buffer_.get(), 0, static_cast<size_t>(n) * sizeof(T));
  }
  T* data() { return reinterpret_cast<T*>(buffer_.get()); }
  const T* data() const { return reinterpret_cast<const T*>(buffer_.get()); }

 private:
  Buffer buffer_;
};

/// Positions as right operands; column j is distance widest - j, zero beyond S, which no weight
/// reaches. The same for all heads: with positions per head (Transformer-XL) each has its own.
template <class T>
class PositionOperands {
  static constexpr int64_t G = kGroup<T>;

 public:
  /// p [D,S]; widest: the largest E of all heads, even
  PositionOperands(const Tensor& p, int64_t widest, int64_t width)
      : widest_(widest),
        width_(width),
        stride_(widest + kSlack),
        columns_(width * stride_),
        rows_(stride_ * width) {
    const int64_t D = p.shape()[0], S = p.shape()[1], known = std::min(widest, S);
    parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
      for (int64_t d = 0; d < D; ++d) {
        const float* row = p.data() + d * S + S - known;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t j = widest - known + i;
          const T value = from_float<T>(row[i]);
          columns_.data()[(d / G * stride_ + j) * G + d % G] = value;
          rows_.data()[(j / G * width + d) * G + j % G] = value;
        }
      }
    });
  }

  int64_t stride() const { return stride_; }
  /// [width, stride] in groups along the width, from distance E on
  const T* columns(int64_t E) const { return columns_.data() + (widest_ - E) * G; }
  /// [E, width] in groups of rows, from distance E on
  const T* rows(int64_t E) const { return rows_.data() + (widest_ - E) * width_; }

 private:
  int64_t widest_, width_, stride_;
  Scratch<T> columns_, rows_;
};

/// Rows of `width` numbers as a right operand with a group of rows side by side. Floats are one a
/// group: the rows are that already, and nothing is stored here.
template <class T>
class GroupedRows {
  static constexpr bool kCopies = kGroup<T> > 1;

 public:
  GroupedRows(int64_t rows, int64_t width, const SpanRowKernels& kernels)
      : width_(width), kernels_(kernels), copy_(kCopies ? rows * width : 0) {}

  /// Groups rows begin .. end-1 of x, both even; returns where all of x lies, grouped.
  const T* of(const Scratch<T>& x, Rows rows) {
    if constexpr (kCopies) {
      for (int64_t r = rows.begin; r < rows.end; r += 2) {
        kernels_.interleave(copy_.data() + r * width_, x.data() + r * width_,
                            x.data() + (r + 1) * width_, width_);
      }
      return copy_.data();
    } else {
      return x.data();
    }
  }

 private:
  int64_t width_;
  const SpanRowKernels& kernels_;
  Scratch<T> copy_;
};

/// A head has keys and, side by side with them, values.
enum class KeyPart { key, value };

/// Copies the numbers of one head and sequence out of the tensors of all, and results into them.
template <class T>
class HeadData {
 public:
  HeadData(const SpanAttentionValues& x, const SpanAttentionOptions& options, int64_t width,
           const SpanRowKernels& kernels)
      : x_(x), options_(options), n_(sizes_of(x, options)), width_(width), kernels_(kernels) {}

  /// From here on: sequence b, head h, whose key 0 is step -back.
  void start(int64_t b, int64_t h, int64_t back) {
    b_ = b;
    h_ = h;
    back_ = back;
    memory_steps_ = options_.memory_steps[static_cast<size_t>(h)];
    memory_begin_ = 0;
    for (int64_t i = 0; i < h; ++i) memory_begin_ += options_.memory_steps[static_cast<size_t>(i)];
  }

  /// rows [keys, width] = the part's, zeros where there is no key
  void gather(Scratch<T>& rows, KeyPart part, Rows keys) const {
    for (int64_t i = keys.begin; i < keys.end; ++i) {
      copy(rows.data() + i * width_, key_place(x_, i - back_, part));
    }
  }

  /// rows [64, width] = columns of `from` [M,B,..] from `column` on, at the tile's queries; zeros
  /// below the last one
  void gather(Scratch<T>& rows, const Tensor& from, const Tile& tile) const {
    const int64_t stride = from.shape()[2];
    const T* place = from.data<T>() + (tile.begin * n_.B + b_) * stride + h_ * n_.D;
    for (int64_t i = 0; i < kTileRows; ++i) {
      copy(rows.data() + i * width_, i < tile.rows ? place + i * n_.B * stride : nullptr);
    }
  }

  /// columns [width, stride] = rows [keys, width] transposed, in groups along the width
  void transpose(Scratch<T>& columns, int64_t stride, const Scratch<T>& rows, Rows keys) const {
    const int64_t words = width_ / kGroup<T>;  // of a row
    kernels_.transpose(reinterpret_cast<uint32_t*>(columns.data()) + keys.begin, stride,
                       reinterpret_cast<const uint32_t*>(rows.data()) + keys.begin * words, words,
                       keys.end - keys.begin, words);
  }

  /// The head's columns of `to` at the tile's queries = rows [64, width] of sums, times a factor
  /// each; null: 1
  void write(Tensor& to, const Tile& tile, const Scratch<float>& rows, const float* factors) const {
    const int64_t stride = to.shape()[2];
    T* place = to.data<T>() + (tile.begin * n_.B + b_) * stride + h_ * n_.D;
    for (int64_t i = 0; i < tile.rows; ++i, place += n_.B * stride) {
      put(place, rows.data() + i * width_, factors == nullptr ? 1 : factors[i]);
    }
  }

  /// Gradients of keys or values
  void write(SpanAttentionGradients& d, KeyPart part, const Scratch<float>& rows, Rows keys) const {
    for (int64_t i = keys.begin; i < keys.end; ++i) {
      T* to = key_place(d, i - back_, part);
      if (to != nullptr) put(to, rows.data() + i * width_, 1);
    }
  }
  /// ... and of those in memory that no query of this sequence sees.
  void clear_unseen(SpanAttentionGradients& d) const {
    for (int64_t r = -memory_steps_; r < -back_; ++r) {
      copy(key_place(d, r, KeyPart::key), nullptr);
      copy(key_place(d, r, KeyPart::value), nullptr);
    }
  }

  /// Asks for the rows that the next tile, of this or the next pair of sequence and head, will
  /// gather: they lie far apart, and come while this one is worked on.
  void fetch_next(const Tile& tile, const Tensor* dout) const {
    int64_t begin = tile.begin + kTileRows, item = b_ * n_.K + h_;
    if (begin >= n_.M) {
      begin = 0;
      ++item;
    }
    const int64_t b = item / n_.K, h = item % n_.K;
    if (b == n_.B) return;
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t t = begin; t < std::min(begin + kTileRows, n_.M); ++t) {
      const T* row = x_.qkv.template data<T>() + (t * n_.B + b) * 3 * n_.H() + h * n_.D;
      for (int64_t d = 0; d < n_.D; d += kLine) {
        __builtin_prefetch(row + d, 0, 2);
        __builtin_prefetch(row + n_.H() + d, 0, 2);
        __builtin_prefetch(row + 2 * n_.H() + d, 0, 2);
      }
      if (dout == nullptr) continue;
      const T* drow = dout->data<T>() + (t * n_.B + b) * n_.H() + h * n_.D;
      for (int64_t d = 0; d < n_.D; d += kLine) __builtin_prefetch(drow + d, 0, 2);
    }
  }

 private:
  /// Where the part of step r lies, in a value or its gradient; null: there is none.
  template <class Tensors>
  auto key_place(Tensors& x, int64_t r, KeyPart part) const -> decltype(x.qkv.template data<T>()) {
    const int64_t i = part == KeyPart::key ? 0 : 1;
    if (r >= n_.M) return nullptr;
    if (r >= 0) {
      return x.qkv.template data<T>() + (r * n_.B + b_) * 3 * n_.H() + (1 + i) * n_.H() + h_ * n_.D;
    }
    const int64_t step = memory_steps_ + r;
    if (step < 0) return nullptr;
    return x.memory_kv.template data<T>() + ((memory_begin_ + step) * n_.B + b_) * 2 * n_.D +
           i * n_.D;
  }

  /// A head's numbers; zeros for null.
  void copy(T* to, const T* from) const {
    const size_t bytes = static_cast<size_t>(n_.D) * sizeof(T);
    if (from != nullptr) {
      std::memcpy(to, from, bytes);
    } else {
      std::memset(to, 0, bytes);
    }
  }
  void put(float* to, const float* from, float factor) const {
    kernels_.to_f32(to, from, factor, n_.D);
  }
  void put(bf16* to, const float* from, float factor) const {
    kernels_.to_bf16(to, from, factor, n_.D);
  }

  const SpanAttentionValues& x_;
  const SpanAttentionOptions& options_;
  const SpanAttentionSizes n_;
  const int64_t width_;
  const SpanRowKernels& kernels_;

  int64_t b_ = 0, h_ = 0, back_ = 0, memory_steps_ = 0, memory_begin_ = 0;
};

}  // namespace adaspan
