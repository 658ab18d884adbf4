// SPDX-License-Identifier: MIT
// For one head, sequence and tile (x: scores, columns as ops/kernels/span_kernels.h shows):
//   forward    x = q k^T + q p           a = softmax(x)     o = a v
//   backward   g = do v^T                dx from x, g       dv += a^T do    dk += dx^T q
//              dq = dx k^T + dx p^T      dp += dx^T q
// Longer than most files: it is one algorithm, in two directions over one set of buffers.
#include "adaspan/ops/span_attention_tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/kernels/span_kernels.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

constexpr int64_t kTileRows = 64;
constexpr int64_t kSlack = 128;  // columns and rows that blocks may read or write beyond the last
// Chunks of (sequence, head) pairs, each of which sums dp by itself: also the most threads in use.
constexpr int64_t kChunks = 32;

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// A row stride of at least n whose cache lines, from row to row, do not fall on each other.
int64_t odd_stride(int64_t n) {
  return (round_up(n, 16) / 16 | 1) * 16;
}

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

/// begin .. end-1 of some rows, both even
struct Rows {
  int64_t begin, end;
};

/// Rows of `width` numbers as a right operand has them, with the rows of a group side by side: made
/// in y, but floats are one a group, and x is that already.
template <class T>
const T* group_rows(Scratch<T>& y, const Scratch<T>& x, Rows rows, int64_t width) {
  if constexpr (kGroup<T> == 1) {
    return x.data();
  } else {
    for (int64_t r = rows.begin; r < rows.end; r += 2) {
      span_row_kernels().interleave(y.data() + r * width, x.data() + r * width,
                                    x.data() + (r + 1) * width, width);
    }
    return y.data();
  }
}

struct Sizes {
  int64_t M, B, K, D, S;
  int64_t H() const { return K * D; }
};

Sizes sizes_of(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const Shape& qkv = x.qkv.shape();
  const auto K = static_cast<int64_t>(options.effective_spans.size());
  return {qkv[0], qkv[1], K, qkv[2] / 3 / K, x.p.shape()[1]};
}

/// What all tiles share: the positions, laid out for the products, and where things lie.
template <class T>
struct Plan {
  Plan(const SpanAttentionValues& values, const SpanAttentionOptions& o)
      : x(values),
        options(o),
        n(sizes_of(values, o)),
        width(round_up(n.D, span_kernels<T>().width_block)),
        widest(round_up(*std::max_element(o.effective_spans.begin(), o.effective_spans.end()), 2)),
        p_stride(widest + kSlack),
        p_columns(width * p_stride),
        p_rows((widest + kSlack) * width),
        factor(1 / std::sqrt(static_cast<float>(n.D))) {
    int64_t begin = 0;
    for (int64_t steps : o.memory_steps) {
      memory_begin.push_back(begin);
      begin += steps;
    }
    lay_out_positions();
  }

  /// Position of column j: distance widest - j. Zero beyond S, which no weight reaches.
  void lay_out_positions() {
    constexpr int64_t G = kGroup<T>;
    const int64_t known = std::min(widest, n.S);
    parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
      for (int64_t d = 0; d < n.D; ++d) {
        const float* row = x.p.data() + d * n.S + n.S - known;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t j = widest - known + i;
          const T value = from_float<T>(row[i]);
          p_columns.data()[(d / G * p_stride + j) * G + d % G] = value;
          p_rows.data()[(j / G * width + d) * G + j % G] = value;
        }
      }
    });
  }

  float span(int64_t t, int64_t b, int64_t h) const {
    if (x.z == nullptr) return static_cast<float>(n.S);
    return x.z->data()[dynamic() ? (t * n.B + b) * n.K + h : h];
  }
  bool dynamic() const { return x.z != nullptr && x.z->shape().rank() == 3; }

  const SpanAttentionValues& x;
  const SpanAttentionOptions& options;
  const Sizes n;
  const int64_t width;   ///< of a head, padded
  const int64_t widest;  ///< largest E, even
  const int64_t p_stride;
  Scratch<T> p_columns;  ///< [width, p_stride] in groups along the width
  Scratch<T> p_rows;     ///< [widest, width] in groups of rows
  const float factor;    ///< 1/sqrt(D)
  std::vector<int64_t> memory_begin;
};

struct Tile {
  int64_t begin, rows;  ///< queries
  int64_t E;            ///< even
  int64_t done;         ///< keys, from the oldest one gathered, that no later tile sees
};

/// The buffers of one thread, and what it does with them for one (sequence, head) after another.
template <class T>
class Worker {
  static constexpr int64_t G = kGroup<T>;

 public:
  Worker(const Plan<T>& plan, bool backward)
      : plan_(plan),
        n_(plan.n),
        width_(plan.width),
        keys_(plan.widest + round_up(n_.M, 2) + kSlack),
        stride_(odd_stride(kTileRows + plan.widest + 2 * kernels_.margin + kSlack)),
        k_stride_(odd_stride(keys_)),
        rows_(keys_ * width_),
        k_columns_(k_stride_ * width_),
        v_columns_(backward ? k_stride_ * width_ : 0),
        grouped_rows_(G > 1 ? keys_ * width_ : 0),
        q_(kTileRows * width_),
        grouped_q_(G > 1 && backward ? kTileRows * width_ : 0),
        dout_(backward ? kTileRows * width_ : 0),
        grouped_dout_(G > 1 && backward ? kTileRows * width_ : 0),
        scores_(tile_size()),
        gradients_(backward ? tile_size() : 0),
        weights_(G > 1 ? tile_size() : 0),
        pairs_(G > 1 && backward ? 3 * tile_size() : 0),
        mixed_(kTileRows * width_),
        dk_(backward ? keys_ * width_ : 0),
        dv_(backward ? keys_ * width_ : 0),
        mask_(plan.widest + 16),
        slope_(plan.widest + 16),
        ones_(plan.options.dropout.rate > 0 ? plan.widest : 0),
        keep_(plan.options.dropout.rate > 0 ? plan.widest + 16 : 0) {
    if (plan.options.dropout.rate > 0) std::fill_n(ones_.data(), plan.widest, 1.0f);
  }

  void forward(int64_t b, int64_t h, Tensor& out, SoftmaxScale* scales) {
    start(b, h);
    for (const Tile& tile : tiles_) {
      fetch_next(tile, nullptr);
      const Rows fresh = keys_until(tile);
      gather(1, fresh);
      turn(k_columns_, fresh);
      gather(2, fresh);
      const T* v = group_rows(grouped_rows_, rows_, fresh, width_);
      gather_queries(q_, plan_.x.qkv, 3 * n_.H(), tile);
      score(tile);
      for (int64_t i = 0; i < tile.rows; ++i) {
        scales[tile.begin + i] = rows_kernels_.softmax(band(scores_, i), softmax_row(tile, i));
        clear_margins(scores_, i, tile.E);
        if constexpr (G > 1) narrow_row(weights_.data(), scores_, i, tile.E);
      }
      clear_rows(scores_, tile);
      if constexpr (G > 1) {
        for (int64_t i = tile.rows; i < padded_rows(tile); ++i) {
          narrow_row(weights_.data(), scores_, i, tile.E);
        }
      }
      const LeftOperand<T> a{left(scores_, weights_), stride_, G};
      kernels_.mix(mixed_.data(), a, v + first_key(tile) * width_, width_,
                   {padded_rows(tile), 1, tile.E}, false);
      write(out, n_.H(), tile, [&](int64_t i) { return scales[tile.begin + i].scale; });
    }
  }

  /// Adds to dp [widest, width]; returns the sum over queries of the gradient of z.
  float backward(int64_t b, int64_t h, const Tensor& dout, const SoftmaxScale* scales, float* dp,
                 SpanAttentionGradients& d) {
    start(b, h);
    clear_unseen_keys(d);
    float dz = 0;
    int64_t written = 0;  // of the keys
    for (const Tile& tile : tiles_) {
      fetch_next(tile, &dout);
      const Rows fresh = keys_until(tile);
      gather(2, fresh);
      turn(v_columns_, fresh);
      gather(1, fresh);
      turn(k_columns_, fresh);
      k_rows_ = group_rows(grouped_rows_, rows_, fresh, width_);
      for (Scratch<float>* sum : {&dk_, &dv_}) {
        std::fill_n(sum->data() + fresh.begin * width_, (fresh.end - fresh.begin) * width_, 0.0f);
      }
      gather_queries(q_, plan_.x.qkv, 3 * n_.H(), tile);
      q_rows_ = group_rows(grouped_q_, q_, {0, kTileRows}, width_);
      gather_queries(dout_, dout, n_.H(), tile);
      dout_rows_ = group_rows(grouped_dout_, dout_, {0, kTileRows}, width_);
      score(tile);
      kernels_.scores(first_cell(gradients_), stride_, {dout_.data(), width_, G},
                      v_columns_.data() + first_key(tile) * G, k_stride_, width_ / G,
                      {padded_rows(tile), 1, tile.E}, false);
      for (int64_t i = 0; i < tile.rows; ++i) {
        const float d_span = rows_kernels_.softmax_backward(
            band(scores_, i), band(gradients_, i), softmax_row(tile, i), scales[tile.begin + i]);
        clear_margins(scores_, i, tile.E);
        clear_margins(gradients_, i, tile.E);
        if (plan_.dynamic()) {
          d.z.data()[((tile.begin + i) * n_.B + b) * n_.K + h] = d_span;
        }
        dz += d_span;
      }
      clear_rows(scores_, tile);
      clear_rows(gradients_, tile);
      multiply_back(tile, dp + (plan_.widest - tile.E) * width_);
      write(d.qkv, 3 * n_.H(), tile, [](int64_t) { return 1.0f; });
      const Rows finished{written, tile.done};
      write_keys(d, 1, dk_, finished);
      write_keys(d, 2, dv_, finished);
      written = tile.done;
    }
    return dz;
  }

 private:
  /// Whole cache lines, so that pairs of bf16 in one tile after another stay aligned.
  int64_t tile_size() const {
    return round_up((kTileRows + 1) * (stride_ + 1) + 2 * kernels_.margin, 32);
  }
  /// Rows of a tile that products may touch: whole blocks, and whole groups of the sums over rows.
  int64_t padded_rows(const Tile& tile) const { return round_up(tile.rows, kernels_.row_block); }

  float* first_cell(Scratch<float>& tile) { return tile.data() + kernels_.margin; }
  /// The first of the E scores of row i.
  float* band(Scratch<float>& tile, int64_t i) { return first_cell(tile) + i * (stride_ + 1); }
  const T* left(Scratch<float>& f32, Scratch<T>& narrow) {
    if constexpr (G > 1) {
      return narrow.data() + kernels_.margin;
    } else {
      return first_cell(f32);
    }
  }

  /// Sets up the geometry of sequence b and head h.
  void start(int64_t b, int64_t h) {
    b_ = b;
    h_ = h;
    tiles_.clear();
    back_ = 0;
    const int64_t most = plan_.options.effective_spans[static_cast<size_t>(h)];
    for (int64_t t = 0; t < n_.M; t += kTileRows) {
      const int64_t rows = std::min(kTileRows, n_.M - t);
      int64_t E = most;
      if (plan_.dynamic()) {
        float z = 0;
        for (int64_t i = 0; i < rows; ++i) z = std::max(z, plan_.span(t + i, b, h));
        E = std::min(most, effective_span(z, plan_.options.ramp, n_.S));
      }
      tiles_.push_back({t, rows, round_up(E, 2), 0});
      back_ = std::max(back_, tiles_.back().E - t);
    }
    int64_t needed = back_ + n_.M;  // by tiles after the one at hand: from here on
    for (auto tile = tiles_.rbegin(); tile != tiles_.rend(); ++tile) {
      tile->done = needed;
      needed = std::min(needed, first_key(*tile));
    }
    gathered_ = 0;
  }

  /// The keys that a tile sees and no tile before it did, and those up to a whole block of the
  /// transposition.
  Rows keys_until(const Tile& tile) {
    const int64_t begin = gathered_;
    gathered_ = round_up(back_ + tile.begin + tile.rows, 16);
    return {begin, gathered_};
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
      const T* row = plan_.x.qkv.template data<T>() + (t * n_.B + b) * 3 * n_.H() + h * n_.D;
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

  /// The first key that a tile sees, counted from the oldest one gathered.
  int64_t first_key(const Tile& tile) const { return back_ + tile.begin - tile.E; }

  /// Where k (which = 1) or v (2) of step r lies, in a value or its gradient; null: there is none.
  template <class Tensors>
  auto key_place(Tensors& x, int64_t r, int64_t which) const -> decltype(x.qkv.template data<T>()) {
    const auto h = static_cast<size_t>(h_);
    if (r >= n_.M) return nullptr;
    if (r >= 0) {
      return x.qkv.template data<T>() + (r * n_.B + b_) * 3 * n_.H() + which * n_.H() + h_ * n_.D;
    }
    const int64_t step = plan_.options.memory_steps[h] + r;
    if (step < 0) return nullptr;
    return x.memory_kv.template data<T>() +
           ((plan_.memory_begin[h] + step) * n_.B + b_) * 2 * n_.D + (which - 1) * n_.D;
  }

  /// rows_ [keys, width] = k or v, zeros where there are none
  void gather(int64_t which, Rows keys) {
    for (int64_t i = keys.begin; i < keys.end; ++i) {
      T* row = rows_.data() + i * width_;
      const T* from = key_place(plan_.x, i - back_, which);
      if (from != nullptr) {
        std::memcpy(row, from, static_cast<size_t>(n_.D) * sizeof(T));
      } else {
        std::memset(row, 0, static_cast<size_t>(n_.D) * sizeof(T));
      }
    }
  }

  /// columns [width, k_stride] = rows_ transposed, in groups along the width
  void turn(Scratch<T>& columns, Rows keys) {
    const int64_t words = width_ / G;  // of a row
    rows_kernels_.transpose(reinterpret_cast<uint32_t*>(columns.data()) + keys.begin, k_stride_,
                            reinterpret_cast<const uint32_t*>(rows_.data()) + keys.begin * words,
                            words, keys.end - keys.begin, words);
  }

  /// to [64, width] = the head's columns of the tile's queries; zeros below the last one
  void gather_queries(Scratch<T>& to, const Tensor& from, int64_t stride, const Tile& tile) {
    for (int64_t i = 0; i < kTileRows; ++i) {
      T* row = to.data() + i * width_;
      if (i < tile.rows) {
        const int64_t place = ((tile.begin + i) * n_.B + b_) * stride + h_ * n_.D;
        std::memcpy(row, from.data<T>() + place, static_cast<size_t>(n_.D) * sizeof(T));
      } else {
        std::memset(row, 0, static_cast<size_t>(n_.D) * sizeof(T));
      }
    }
  }

  /// x = q k^T + q p
  void score(const Tile& tile) {
    const LeftOperand<T> q{q_.data(), width_, G};
    kernels_.scores(first_cell(scores_), stride_, q, k_columns_.data() + first_key(tile) * G,
                    k_stride_, width_ / G, {padded_rows(tile), 1, tile.E}, false);
    kernels_.scores(first_cell(scores_), stride_ + 1, q,
                    plan_.p_columns.data() + (plan_.widest - tile.E) * G, plan_.p_stride,
                    width_ / G, {padded_rows(tile), 0, tile.E}, true);
  }

  SoftmaxRow softmax_row(const Tile& tile, int64_t i) {
    const SpanAttentionOptions& options = plan_.options;
    const int64_t t = tile.begin + i;
    int64_t first = std::max(int64_t{0}, tile.E - options.effective_spans[static_cast<size_t>(h_)]);
    if (options.skip_missing) {
      const int64_t oldest = -options.memory_steps[static_cast<size_t>(h_)];
      first = std::clamp(oldest - (t - tile.E), first, tile.E);
    }
    const MaskedRow masked{.E = tile.E,
                           .first = first,
                           .z = plan_.span(t, b_, h_),
                           .ramp = static_cast<float>(options.ramp)};
    if (masked != masked_) {  // it is the same for most rows of a head
      rows_kernels_.span_mask(mask_.data(), slope_.data(), masked);
      masked_ = masked;
    }
    return {tile.E, mask_.data(), slope_.data(), plan_.factor, kept(tile, t)};
  }

  /// Dropout's factor of each weight. A weight keeps its random number when the span changes:
  /// numbered as if all S were there.
  const float* kept(const Tile& tile, int64_t t) {
    const Dropout& dropout = plan_.options.dropout;
    if (dropout.rate == 0) return nullptr;
    const int64_t beyond = std::max(int64_t{0}, tile.E - n_.S);
    const int64_t row = dropout.global_row(t * n_.B + b_, n_.B);
    const int64_t number = (row * n_.K + h_) * n_.S + n_.S - tile.E + beyond;
    row_kernels<float>().dropout(keep_.data() + beyond, ones_.data(), dropout.rate, dropout.key,
                                 static_cast<uint64_t>(number), tile.E - beyond);
    return keep_.data();
  }

  void clear_margins(Scratch<float>& tile, int64_t i, int64_t E) {
    float* row = band(tile, i);
    std::fill_n(row - kernels_.margin, kernels_.margin, 0.0f);
    std::fill_n(row + E, kernels_.margin, 0.0f);
  }
  void clear_rows(Scratch<float>& cells, const Tile& tile) {
    for (int64_t i = tile.rows; i < padded_rows(tile); ++i) {
      std::fill_n(band(cells, i) - kernels_.margin, tile.E + 2 * kernels_.margin, 0.0f);
    }
  }

  /// One row of a tile, margins included, as bf16 at the same place.
  void narrow_row(T* to, Scratch<float>& from, int64_t i, int64_t E) {
    const int64_t place = i * (stride_ + 1);
    rows_kernels_.to_bf16(to + place, from.data() + place, 1, E + 2 * kernels_.margin);
  }

  /// dv, dk, dp += ..., mixed_ = dq
  void multiply_back(const Tile& tile, float* dp) {
    const Band keys{padded_rows(tile), 1, tile.E}, distances{padded_rows(tile), 0, tile.E};
    const int64_t key = first_key(tile) * width_;
    LeftOperand<T> a, dx, dx_distances;  // by columns
    if constexpr (G > 1) {
      T *const a_pairs = pairs_.data(), *const dx_pairs = a_pairs + tile_size(),
               *const distance_pairs = dx_pairs + tile_size();
      // Row i+1 begins a column later: one more cell, and a margin zero more on its left.
      const int64_t cells = tile.E + 2 * kernels_.margin;
      for (int64_t i = 0; i < padded_rows(tile); i += 2) {
        const int64_t place = i * (stride_ + 1), below = place + stride_;
        const int64_t pair = i * stride_ + 2 * i;  // word (i/2) stride + i
        rows_kernels_.to_pairs(a_pairs + pair, scores_.data() + place, scores_.data() + below,
                               cells);
        rows_kernels_.to_pairs(dx_pairs + pair, gradients_.data() + place,
                               gradients_.data() + below, cells);
        rows_kernels_.to_pairs(distance_pairs + i * stride_, first_cell(gradients_) + place,
                               first_cell(gradients_) + below + 1, tile.E + kernels_.margin);
        narrow_row(weights_.data(), gradients_, i, tile.E);
        narrow_row(weights_.data(), gradients_, i + 1, tile.E);
      }
      a = {a_pairs + 2 * kernels_.margin, 2, 2 * stride_};
      dx = {dx_pairs + 2 * kernels_.margin, 2, 2 * stride_};
      dx_distances = {distance_pairs, 2, 2 * stride_};
    } else {
      a = {first_cell(scores_), 1, stride_};
      dx = {first_cell(gradients_), 1, stride_};
      dx_distances = {first_cell(gradients_), 1, stride_ + 1};
    }
    kernels_.scatter(dv_.data() + key, a, dout_rows_, width_, keys);
    kernels_.scatter(dk_.data() + key, dx, q_rows_, width_, keys);
    kernels_.scatter(dp, dx_distances, q_rows_, width_, distances);
    const T* by_rows = left(gradients_, weights_);
    kernels_.mix(mixed_.data(), {by_rows, stride_, G}, k_rows_ + key, width_, keys, false);
    kernels_.mix(mixed_.data(), {by_rows, stride_ + 1, G},
                 plan_.p_rows.data() + (plan_.widest - tile.E) * width_, width_, distances, true);
  }

  /// The tile's results in mixed_ [rows, width], times a factor each, into the head's columns of
  /// `to`.
  template <class Factor>
  void write(Tensor& to, int64_t stride, const Tile& tile, const Factor& factor) const {
    T* row = to.data<T>() + (tile.begin * n_.B + b_) * stride + h_ * n_.D;
    for (int64_t i = 0; i < tile.rows; ++i, row += n_.B * stride) {
      put(row, mixed_.data() + i * width_, factor(i));
    }
  }
  void put(float* to, const float* from, float factor) const {
    rows_kernels_.to_f32(to, from, factor, n_.D);
  }
  void put(bf16* to, const float* from, float factor) const {
    rows_kernels_.to_bf16(to, from, factor, n_.D);
  }

  /// dk or dv of keys that no tile adds to any more
  void write_keys(SpanAttentionGradients& d, int64_t which, const Scratch<float>& from, Rows keys) {
    for (int64_t i = keys.begin; i < keys.end; ++i) {
      T* to = key_place(d, i - back_, which);
      if (to != nullptr) put(to, from.data() + i * width_, 1);
    }
  }
  /// ... and of those in memory that no query of this sequence sees
  void clear_unseen_keys(SpanAttentionGradients& d) const {
    for (int64_t r = -plan_.options.memory_steps[static_cast<size_t>(h_)]; r < -back_; ++r) {
      for (int64_t which : {1, 2}) {
        std::memset(key_place(d, r, which), 0, static_cast<size_t>(n_.D) * sizeof(T));
      }
    }
  }

  const Plan<T>& plan_;
  const SpanKernels<T>& kernels_ = span_kernels<T>();
  const SpanRowKernels& rows_kernels_ = span_row_kernels();
  const Sizes n_;
  const int64_t width_, keys_, stride_, k_stride_;

  Scratch<T> rows_, k_columns_, v_columns_, grouped_rows_;                // of all keys
  Scratch<T> q_, grouped_q_, dout_, grouped_dout_;                        // of the tile's queries
  const T *k_rows_ = nullptr, *q_rows_ = nullptr, *dout_rows_ = nullptr;  // as right operands
  Scratch<float> scores_, gradients_;  // tiles: x then a; g then dx
  Scratch<T> weights_, pairs_;   // bf16: by rows (a, then dx); by columns (a, dx, dx by distance)
  Scratch<float> mixed_;         // o or dq of the tile
  Scratch<float> dk_, dv_;       // sums over tiles
  Scratch<float> mask_, slope_;  // of the row at hand
  Scratch<float> ones_, keep_;

  int64_t b_ = 0, h_ = 0;
  MaskedRow masked_{};  // what mask_ holds
  std::vector<Tile> tiles_;
  int64_t back_ = 0;      // steps before the block that some query sees
  int64_t gathered_ = 0;  // keys
};

/// Calls body(worker, chunk, b, h) for every sequence and head.
template <class T, class Body>
void for_each_item(const Plan<T>& plan, bool backward, const Body& body) {
  const int64_t items = plan.n.B * plan.n.K, chunk = (items + kChunks - 1) / kChunks;
  parallel_chunks(items, chunk, [&](int64_t begin, int64_t end) {
    Worker<T> worker(plan, backward);
    for (int64_t i = begin; i < end; ++i) body(worker, begin / chunk, i / plan.n.K, i % plan.n.K);
  });
}

template <class T>
SpanAttentionForward forward(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const Plan<T> plan(x, options);
  const Sizes& n = plan.n;
  SpanAttentionForward result{Tensor({n.M, n.B, n.H()}, x.qkv.type()), Tensor({n.B, n.K, n.M, 2})};
  for_each_item(plan, false, [&](Worker<T>& worker, int64_t, int64_t b, int64_t h) {
    worker.forward(b, h, result.out,
                   reinterpret_cast<SoftmaxScale*>(result.scales.data()) + (b * n.K + h) * n.M);
  });
  return result;
}

/// dp [D,S] = the sum over chunks, in their order, of partial [chunks, widest + slack, width]
template <class T>
Tensor sum_positions(const Plan<T>& plan, const Tensor& partial) {
  const Sizes& n = plan.n;
  Tensor dp = Tensor::zeros({n.D, n.S});
  const int64_t chunks = partial.shape()[0], known = std::min(plan.widest, n.S);
  parallel_chunks(known, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(plan.width));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int64_t c = 0; c < chunks; ++c) {
        const int64_t row = c * partial.shape()[1] + plan.widest - known + i;
        row_kernels<float>().add_scaled(sum.data(), 1, partial.data() + row * plan.width, n.D);
      }
      for (int64_t d = 0; d < n.D; ++d) {
        dp.data()[d * n.S + n.S - known + i] = sum[static_cast<size_t>(d)];
      }
    }
  });
  return dp;
}

template <class T>
SpanAttentionGradients backward(const SpanAttentionValues& x, const SpanAttentionOptions& options,
                                const Tensor& scales, const Tensor& dout) {
  const Plan<T> plan(x, options);
  const Sizes& n = plan.n;
  SpanAttentionGradients d{Tensor(x.qkv.shape(), x.qkv.type()),
                           Tensor(x.memory_kv.shape(), x.qkv.type()), Tensor(), Tensor()};
  if (x.z != nullptr) d.z = Tensor::zeros(x.z->shape());
  Tensor dp = Tensor::zeros({std::min(kChunks, n.B * n.K), plan.widest + kSlack, plan.width});
  Tensor dz({n.B, n.K});
  for_each_item(plan, true, [&](Worker<T>& worker, int64_t chunk, int64_t b, int64_t h) {
    const int64_t item = b * n.K + h;
    dz.data()[item] = worker.backward(
        b, h, dout, reinterpret_cast<const SoftmaxScale*>(scales.data()) + item * n.M,
        dp.data() + chunk * dp.shape()[1] * plan.width, d);
  });
  d.p = sum_positions(plan, dp);
  if (x.z != nullptr && !plan.dynamic()) {
    for (int64_t i = 0; i < n.B * n.K; ++i) d.z.data()[i % n.K] += dz.data()[i];
  }
  return d;
}

/// Queries times keys that they see times D.
double pairs(const SpanAttentionValues& x, const SpanAttentionOptions& options) {
  const Sizes n = sizes_of(x, options);
  const int64_t spans =
      std::accumulate(options.effective_spans.begin(), options.effective_spans.end(), int64_t{0});
  return static_cast<double>(n.M * n.B * n.D) * static_cast<double>(spans);
}

/// Of q, k, v and the memory, read once, and the result.
double forward_bytes(const SpanAttentionValues& x) {
  return static_cast<double>(x.qkv.bytes()) * 4 / 3 + static_cast<double>(x.memory_kv.bytes());
}

}  // namespace

SpanAttentionForward span_attention_forward(const SpanAttentionValues& x,
                                            const SpanAttentionOptions& options) {
  const Timed timed("span attention", 6 * pairs(x, options), forward_bytes(x));
  return with_type(x.qkv.type(), [&](auto type) { return forward<decltype(type)>(x, options); });
}

SpanAttentionGradients span_attention_backward(const SpanAttentionValues& x,
                                               const SpanAttentionOptions& options,
                                               const Tensor& scales, const Tensor& dout) {
  const Timed timed("span attention backward", 16 * pairs(x, options), 2 * forward_bytes(x));
  return with_type(x.qkv.type(),
                   [&](auto type) { return backward<decltype(type)>(x, options, scales, dout); });
}

}  // namespace adaspan
