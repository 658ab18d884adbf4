// SPDX-License-Identifier: MIT
// What the products of a tile read, laid out for them: q, k, v and dout of one head and sequence.
// Heads are padded to `width` columns, which stay zero.
#pragma once

#include <algorithm>
#include <type_traits>

#include <adaspan/ops/tiles/scratch.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>

namespace adaspan {

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
    memory_begin_ = memory_begin(h);
  }

  /// rows [keys, width] = the part's, zeros where there is no key
  void gather(Scratch<T>& rows, KeyPart part, Rows keys) const {
    for_each_run(keys, [&](Rows run) {
      T* to = rows.data() + run.begin * width_;
      const Place<const T> from = key_place(x_, run.begin - back_, part);
      if (from.data != nullptr) {
        copy({to, width_}, from, run.end - run.begin);
      } else {
        clear(to, run.end - run.begin);
      }
    });
  }

  /// rows [64, width] = columns of `from` [M,B,..] from `column` on, at the tile's queries; zeros
  /// below the last one
  void gather(Scratch<T>& rows, const Tensor& from, const Tile& tile) const {
    copy({rows.data(), width_}, query_place(from, tile), tile.rows);
    clear(rows.data() + tile.rows * width_, kTileRows - tile.rows);
  }

  /// columns [width, stride] = rows [keys, width] transposed, in groups along the width
  void transpose(Scratch<T>& columns, int64_t stride, const Scratch<T>& rows, Rows keys) const {
    transpose(columns, stride, {rows.data() + keys.begin * width_, width_}, keys);
  }
  /// ... = the part's; gathered in `rows` first unless they lie evenly.
  void gather_columns(Scratch<T>& columns, int64_t stride, KeyPart part, Rows keys,
                      Scratch<T>& rows) const {
    const int64_t first = keys.begin - back_, last = keys.end - 1 - back_;
    if (n_.D == width_ && last < n_.M && (first >= 0 || (first >= -memory_steps_ && last < 0))) {
      return transpose(columns, stride, key_place(x_, first, part), keys);
    }
    gather(rows, part, keys);
    transpose(columns, stride, rows, keys);
  }

  /// The head's columns of `to` at the tile's queries = rows [64, width] of sums, times a factor
  /// each; null: 1
  void write(Tensor& to, const Tile& tile, const Scratch<float>& rows, const float* factors) const {
    put(query_place(to, tile), rows.data(), factors, tile.rows);
  }

  /// Gradients of keys or values
  void write(SpanAttentionGradients& d, KeyPart part, const Scratch<float>& rows, Rows keys) const {
    for_each_run(keys, [&](Rows run) {
      const Place<T> to = key_place(d, run.begin - back_, part);
      if (to.data == nullptr) return;
      put(to, rows.data() + run.begin * width_, nullptr, run.end - run.begin);
    });
  }
  /// ... and of those in memory that no query of this sequence sees.
  void clear_unseen(SpanAttentionGradients& d) const {
    for (int64_t r = -memory_steps_; r < -back_; ++r) {
      for (KeyPart part : {KeyPart::key, KeyPart::value}) {
        std::fill_n(key_place(d, r, part).data, n_.D, T());
      }
    }
  }

  /// Asks for what the next tile, of this or the next pair of sequence and head, will gather of its
  /// queries from row i on: rows lie far apart, and come a few at a time while this tile is worked
  /// on. With the last tile of a head, also for the
  /// memory of the next one.
  void fetch_next(const Tile& tile, int64_t i, int64_t rows, const Tensor* dout) const {
    int64_t begin = tile.begin + kTileRows + i, number = n_.number({b_, h_});
    const bool next_head = tile.begin + kTileRows >= n_.M;
    if (next_head) {
      begin = i;
      ++number;
    }
    if (number == n_.B * n_.K) return;
    const auto [b, h] = n_.place(number);
    const int64_t H = n_.H();
    for (int64_t t = begin; t < std::min(begin + rows, n_.M); ++t) {
      const T* row = x_.qkv.template data<T>() + (t * n_.B + b) * 3 * H + h * n_.D;
      for (int64_t part : {int64_t{0}, H, 2 * H}) fetch(row + part, n_.D);
      if (dout != nullptr) fetch(dout->data<T>() + (t * n_.B + b) * H + h * n_.D, n_.D);
    }
    if (!next_head) return;
    const int64_t begin_of_memory = h == h_ ? memory_begin_ : memory_begin(h);
    const int64_t steps = options_.memory_steps[static_cast<size_t>(h)];
    // Where spans are dynamic, about as much as this head sees.
    const int64_t wanted = x_.dynamic() ? std::min(steps, back_) : steps;
    const Rows some = share(i, rows, tile.rows, {steps - wanted, steps});
    for (int64_t step = some.begin; step < some.end; ++step) {
      const int64_t place = (begin_of_memory + step) * n_.B + b;
      fetch(x_.memory_kv.template data<T>() + place * 2 * n_.D, 2 * n_.D);
    }
  }

  /// Asks for the places that rows from i on of this tile will be written to: to write a part of a
  /// cache line, the processor reads it.
  void fetch_written(const Tensor& to, const Tile& tile, int64_t i, int64_t rows) const {
    const Place<const T> place = query_place(to, tile);
    for (int64_t r = i; r < i + rows; ++r) fetch(place.data + r * place.stride, n_.D);
  }
  /// ... and of the keys that are finished, an equal share.
  void fetch_written(const SpanAttentionGradients& d, const Tile& tile, int64_t i,
                     int64_t rows) const {
    const Rows some = share(i, rows, tile.rows, tile.finished);
    for (int64_t key = some.begin; key < some.end; ++key) {
      for (KeyPart part : {KeyPart::key, KeyPart::value}) {
        const T* place = key_place(d, key - back_, part).data;
        if (place != nullptr) fetch(place, n_.D);
      }
    }
  }

 private:
  template <class Number>
  using Place = PlacedRows<Number>;

  /// Calls body(run) for parts of `keys` whose rows lie evenly spaced: before the memory, in it, in
  /// the block, after it.
  template <class Body>
  void for_each_run(Rows keys, const Body& body) const {
    int64_t begin = keys.begin;
    for (int64_t step : {-memory_steps_, int64_t{0}, n_.M, keys.end - back_}) {
      const int64_t end = std::min(keys.end, step + back_);
      if (begin >= end) continue;
      body(Rows{begin, end});
      begin = end;
    }
  }

  /// Steps of memory that are those of the heads before head h.
  int64_t memory_begin(int64_t h) const {
    int64_t sum = 0;
    for (int64_t i = 0; i < h; ++i) sum += options_.memory_steps[static_cast<size_t>(i)];
    return sum;
  }

  /// Where the part of step r lies, in a value or its gradient; null: there is none.
  template <class Tensors>
  auto key_place(Tensors& x, int64_t r, KeyPart part) const
      -> Place<std::remove_pointer_t<decltype(x.qkv.template data<T>())>> {
    const int64_t i = part == KeyPart::key ? 0 : 1, H = n_.H();
    const int64_t step = memory_steps_ + r, stride = n_.B * (r >= 0 ? 3 * H : 2 * n_.D);
    if (r >= n_.M || step < 0) return {nullptr, stride};
    if (r >= 0) {
      return {x.qkv.template data<T>() + r * stride + b_ * 3 * H + (1 + i) * H + h_ * n_.D, stride};
    }
    return {x.memory_kv.template data<T>() + (memory_begin_ + step) * stride + (2 * b_ + i) * n_.D,
            stride};
  }
  /// Where the head's part of the tile's queries lies.
  template <class AnyTensor>
  auto query_place(AnyTensor& x, const Tile& tile) const
      -> Place<std::remove_pointer_t<decltype(x.template data<T>())>> {
    const int64_t stride = n_.B * x.shape()[2];
    return {x.template data<T>() + tile.begin * stride + b_ * x.shape()[2] + h_ * n_.D, stride};
  }

  /// What rows i .. i+rows-1 of n have for a share of `all`.
  static Rows share(int64_t i, int64_t rows, int64_t n, Rows all) {
    const int64_t count = all.end - all.begin;
    return {all.begin + count * i / n, all.begin + count * (i + rows) / n};
  }
  static void fetch(const T* numbers, int64_t n) {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(numbers + i, 0, 2);
  }
  void transpose(Scratch<T>& columns, int64_t stride, Place<const T> from, Rows keys) const {
    kernels_.transpose(reinterpret_cast<uint32_t*>(columns.data()) + keys.begin, stride,
                       reinterpret_cast<const uint32_t*>(from.data), from.stride / kGroup<T>,
                       keys.end - keys.begin, width_ / kGroup<T>);
  }
  void clear(T* rows, int64_t count) const { std::fill_n(rows, count * width_, T()); }
  void copy(Place<T> to, Place<const T> from, int64_t rows) const {
    constexpr int64_t bytes = sizeof(T);
    kernels_.copy({reinterpret_cast<std::byte*>(to.data), bytes * to.stride},
                  {reinterpret_cast<const std::byte*>(from.data), bytes * from.stride}, rows,
                  bytes * n_.D);
  }
  void put(Place<T> to, const float* from, const float* factors, int64_t rows) const {
    if constexpr (std::is_same_v<T, float>) {
      kernels_.to_f32(to, {from, width_}, factors, rows, n_.D);
    } else {
      kernels_.to_bf16(to, {from, width_}, factors, rows, n_.D);
    }
  }

  const SpanAttentionValues& x_;
  const SpanAttentionOptions& options_;
  const SpanAttentionSizes n_;
  const int64_t width_;
  const SpanRowKernels& kernels_;

  int64_t b_ = 0, h_ = 0, back_ = 0, memory_steps_ = 0, memory_begin_ = 0;
};

}  // namespace adaspan
