// SPDX-License-Identifier: MIT
// The two passes over the tiles of one head and sequence (x: scores, columns as
// ops/kernels/span_kernels.h shows):
//   forward    x = q k^T + q p           a = softmax(x)     o = a v
//   backward   g = do v^T                dx from x, g       dv += a^T do    dk += dx^T q
//              dq = dx k^T + dx p^T      dp += dx^T q
// and the same with persistent keys n and values u in the place of k and v.
// Each is made once for a thread, with its buffers, and goes through one head after another.
#pragma once

#include <algorithm>
#include <vector>

#include <adaspan/ops/tiles/persistent_sums.h>
#include <adaspan/ops/tiles/row_masks.h>
#include <adaspan/ops/tiles/score_tile.h>
#include <adaspan/ops/tiles/span_attention_passes.h>
#include <adaspan/ops/tiles/tile_geometry.h>
#include <adaspan/ops/tiles/tile_operands.h>
#include <adaspan/ops/tiles/vector_operands.h>

namespace adaspan {

/// What all tiles of a call share.
template <class T>
struct PassSetup {
  PassSetup(const SpanAttentionValues& values, const SpanAttentionOptions& o,
            const SpanKernelTables& kernels)
      : x(values),
        options(o),
        n(sizes_of(values, o)),
        products(kernels.products<T>()),
        rows(kernels.rows),
        width(round_up(n.D, products.width_block)),
        widest(round_up(*std::max_element(o.effective_spans.begin(), o.effective_spans.end()), 2)),
        keys(widest + round_up(n.M, 2) + kSlack),
        key_stride(odd_stride(keys)),
        layout(widest, n.P, products.margin, products.row_block),
        positions(x.p, widest, width),
        persistent(x, n, width) {}

  const SpanAttentionValues& x;
  const SpanAttentionOptions& options;
  const SpanAttentionSizes n;
  const SpanKernels<T>& products;
  const SpanRowKernels& rows;
  const int64_t width;       ///< of a head, padded
  const int64_t widest;      ///< largest E, even
  const int64_t keys;        ///< most keys of a head and sequence, padded
  const int64_t key_stride;  ///< where keys are columns
  const TileLayout layout;
  const PositionOperands<T> positions;
  const PersistentOperands<T> persistent;
};

/// What both passes do: they gather a tile's queries and keys, and score them.
template <class T>
struct TileScores {
  explicit TileScores(const PassSetup<T>& setting)
      : s(setting),
        head(s.x, s.options, s.width, s.rows),
        masks(s.x, s.options, s.layout, s.rows),
        key_rows(s.keys * s.width),
        k_columns(s.key_stride * s.width),
        q(kTileRows * s.width),
        x(s.layout) {}

  std::vector<Tile> start(int64_t b, int64_t h) {
    HeadTiles all = head_tiles(s.n.M, masks.tile_spans(b, h));
    head.start(b, h, all.back);
    return std::move(all.tiles);
  }
  /// y = left right^T over keys
  void multiply(ScoreTile& y, const Scratch<T>& left, const Scratch<T>& columns, const Tile& tile) {
    s.products.scores(y.band(0), s.layout.stride, operand(left),
                      columns.data() + tile.first_key * kGroup<T>, s.key_stride,
                      s.width / kGroup<T>, {s.layout.padded(tile.rows), 1, tile.E}, false);
  }
  /// ... over the head's persistent vectors; after those of keys, which write a little beyond.
  void multiply(ScoreTile& y, const Scratch<T>& left, const VectorOperands<T>& right,
                const Tile& tile) {
    s.products.scores(y.band(0) + s.layout.persistent(tile.E), s.layout.stride + 1, operand(left),
                      right.columns(), right.stride(), s.width / kGroup<T>,
                      {s.layout.padded(tile.rows), 0, s.n.P}, false);
  }
  /// x = q k^T + q p, q n^T. Where the first two have left operands of their own (Transformer-XL's
  /// q + u and q + v), q is two buffers, and the first goes to keys, the second to distances.
  void score(int64_t h, const Tile& tile) {
    multiply(x, q, k_columns, tile);
    s.products.scores(x.band(0), s.layout.stride + 1, operand(q), s.positions.columns(tile.E),
                      s.positions.stride(), s.width / kGroup<T>,
                      {s.layout.padded(tile.rows), 0, tile.E}, true);
    if (s.n.P > 0) multiply(x, q, s.persistent.keys(h), tile);
  }
  LeftOperand<T> operand(const Scratch<T>& rows) const { return {rows.data(), s.width, kGroup<T>}; }

  const PassSetup<T>& s;
  HeadData<T> head;
  RowMasks masks;
  Scratch<T> key_rows;   ///< of the keys or values gathered last
  Scratch<T> k_columns;  ///< k^T
  Scratch<T> q;
  ScoreTile x;
};

template <class T>
class ForwardPass {
 public:
  explicit ForwardPass(const PassSetup<T>& setting)
      : s(setting),
        tiles_(s),
        grouped_v_(s.keys, s.width, s.rows),
        a_(tiles_.x, s.rows),
        o_(kTileRows * s.width) {}

  void run(int64_t b, int64_t h, SpanAttentionForward& result) {
    const int64_t query = (b * s.n.K + h) * s.n.M;
    for (const Tile& tile : tiles_.start(b, h)) {
      const HeadData<T>& head = tiles_.head;
      head.gather_columns(tiles_.k_columns, s.key_stride, KeyPart::key, tile.fresh,
                          tiles_.key_rows);
      head.gather(tiles_.key_rows, KeyPart::value, tile.fresh);
      const T* v = grouped_v_.of(tiles_.key_rows, tile.fresh);
      head.gather(tiles_.q, s.x.qkv, tile);
      tiles_.score(h, tile);
      float* scale = result.scales.scale.data() + query + tile.begin;
      float* top = result.scales.top.data() + query + tile.begin;
      SoftmaxScale scales[kRowsTogether];
      for (int64_t i = 0; i < tile.rows; i += kRowsTogether) {
        const SoftmaxRows rows = tiles_.masks.rows(b, h, tile, i);
        head.fetch_next(tile, i, rows.count, nullptr);
        head.fetch_written(result.out, tile, i, rows.count);
        s.rows.softmax(scales, tiles_.x.band(i), rows);
        for (int64_t r = 0; r < rows.count; ++r) {
          top[i + r] = scales[r].top;
          scale[i + r] = scales[r].scale;
        }
        tiles_.x.clear_margins(i, rows.count, tile.E);
        a_.take(i, rows.count, tile.E);
      }
      const int64_t padded = s.layout.padded(tile.rows);
      tiles_.x.clear_below(tile);
      a_.take(tile.rows, padded - tile.rows, tile.E);
      s.products.mix(o_.data(), a_.operand(1), v + tile.first_key * s.width, s.width,
                     {padded, 1, tile.E}, false);
      if (s.n.P > 0) {
        s.products.mix(o_.data(), a_.operand(0, s.layout.persistent(tile.E)),
                       s.persistent.values(h).rows(), s.width, {padded, 0, s.n.P}, true);
      }
      head.write(result.out, tile, o_, scale);
    }
  }

 private:
  const PassSetup<T>& s;
  TileScores<T> tiles_;
  GroupedRows<T> grouped_v_;
  TileByRows<T> a_;
  Scratch<float> o_;
};

template <class T>
class BackwardPass {
 public:
  explicit BackwardPass(const PassSetup<T>& setting)
      : s(setting),
        tiles_(s),
        v_columns_(s.key_stride * s.width),
        grouped_k_(s.keys, s.width, s.rows),
        grouped_q_(kTileRows, s.width, s.rows),
        grouped_dout_(kTileRows, s.width, s.rows),
        dout_(kTileRows * s.width),
        dx_(s.layout),
        a_by_key_(tiles_.x, 1, s.rows),
        dx_by_key_(dx_, 1, s.rows),
        dx_by_distance_(dx_, 0, s.rows),
        a_by_vector_(tiles_.x, 0, s.rows, s.n.P > 0),
        dx_by_row_(dx_, s.rows),
        dq_(kTileRows * s.width),
        dk_(s.keys * s.width),
        dv_(s.keys * s.width) {}

  /// Writes d.qkv and d.memory_kv, for each query d.z, and adds to dp [widest, width] and
  /// `persistent`; returns the sum over queries of the gradient of z.
  float run(int64_t b, int64_t h, const Tensor& dout, const SoftmaxScales& scales, float* dp,
            PersistentSums persistent, SpanAttentionGradients& d) {
    const int64_t query = (b * s.n.K + h) * s.n.M;
    const HeadData<T>& head = tiles_.head;
    const std::vector<Tile> tiles = tiles_.start(b, h);
    head.clear_unseen(d);
    float dz = 0;
    for (const Tile& tile : tiles) {
      head.gather_columns(v_columns_, s.key_stride, KeyPart::value, tile.fresh, tiles_.key_rows);
      head.gather(tiles_.key_rows, KeyPart::key, tile.fresh);
      head.transpose(tiles_.k_columns, s.key_stride, tiles_.key_rows, tile.fresh);
      const T* k = grouped_k_.of(tiles_.key_rows, tile.fresh);
      head.gather(tiles_.q, s.x.qkv, tile);
      head.gather(dout_, dout, tile);
      tiles_.score(h, tile);
      tiles_.multiply(dx_, dout_, v_columns_, tile);
      if (s.n.P > 0) tiles_.multiply(dx_, dout_, s.persistent.values(h), tile);
      SoftmaxScale made[kRowsTogether];
      float d_spans[kRowsTogether];
      for (int64_t i = 0; i < tile.rows; i += kRowsTogether) {
        const SoftmaxRows rows = tiles_.masks.rows(b, h, tile, i);
        head.fetch_next(tile, i, rows.count, &dout);
        head.fetch_written(d.qkv, tile, i, rows.count);
        head.fetch_written(d, tile, i, rows.count);
        for (int64_t r = 0; r < rows.count; ++r) made[r] = scales.at(query + tile.begin + i + r);
        s.rows.softmax_backward(d_spans, tiles_.x.band(i), dx_.band(i), rows, made);
        tiles_.x.clear_margins(i, rows.count, tile.E);
        dx_.clear_margins(i, rows.count, tile.E);
        for (int64_t r = 0; r < rows.count; ++r) {
          const int64_t t = tile.begin + i + r;
          if (s.x.dynamic()) d.z.data()[(t * s.n.B + b) * s.n.K + h] = d_spans[r];
          dz += d_spans[r];
        }
      }
      tiles_.x.clear_below(tile);
      dx_.clear_below(tile);
      multiply(tile, h, k, dp + (s.widest - tile.E) * s.width, persistent);
      head.write(d.qkv, tile, dq_, nullptr);
      head.write(d, KeyPart::key, dk_, tile.finished);
      head.write(d, KeyPart::value, dv_, tile.finished);
    }
    return dz;
  }

 private:
  /// From a, dx and k: dq, and dk, dv, dp, dn, du += ...
  void multiply(const Tile& tile, int64_t h, const T* k, float* dp, PersistentSums persistent) {
    const int64_t rows = s.layout.padded(tile.rows), key = tile.first_key * s.width;
    const int64_t vector = s.layout.persistent(tile.E);
    const Band keys{rows, 1, tile.E}, distances{rows, 0, tile.E}, vectors{rows, 0, s.n.P};
    for (int64_t i = 0; i < rows; i += 2) {  // two rows at a time stay in the cache
      a_by_key_.take(i, 0, tile.E);
      dx_by_key_.take(i, 0, tile.E);
      dx_by_distance_.take(i, 0, s.layout.length(tile.E));
      dx_by_row_.take(i, 2, tile.E);
      if (s.n.P > 0) a_by_vector_.take(i, vector, s.n.P);
    }
    const T* q = grouped_q_.of(tiles_.q, {0, kTileRows});
    const T* dout = grouped_dout_.of(dout_, {0, kTileRows});
    const int64_t fresh = clear_fresh(tile, rows - 1 + tile.E);
    s.products.scatter(dv_.data() + key, a_by_key_.operand(), dout, s.width, keys, fresh);
    s.products.scatter(dk_.data() + key, dx_by_key_.operand(), q, s.width, keys, fresh);
    s.products.scatter(dp, dx_by_distance_.operand(), q, s.width, distances, distances.E);
    s.products.mix(dq_.data(), dx_by_row_.operand(1), k + key, s.width, keys, false);
    s.products.mix(dq_.data(), dx_by_row_.operand(0), s.positions.rows(tile.E), s.width, distances,
                   true);
    if (s.n.P == 0) return;
    s.products.scatter(persistent.values, a_by_vector_.operand(vector), dout, s.width, vectors,
                       s.n.P);
    s.products.scatter(persistent.keys, dx_by_distance_.operand(vector), q, s.width, vectors,
                       s.n.P);
    s.products.mix(dq_.data(), dx_by_row_.operand(0, vector), s.persistent.keys(h).rows(), s.width,
                   vectors, true);
  }

  /// Returns the first of the tile's `columns` whose sums of dk and dv begin here in a whole block,
  /// which overwrites what was there; sets those of fresh keys before and behind to zero.
  int64_t clear_fresh(const Tile& tile, int64_t columns) {
    const int64_t begin = tile.fresh.begin - tile.first_key, end = tile.fresh.end - tile.first_key;
    const int64_t whole = std::min(round_up(std::max(int64_t{0}, begin), s.layout.row_block), end);
    for (Scratch<float>* sum : {&dk_, &dv_}) {
      const auto clear = [&, first = sum->data() + tile.first_key * s.width](int64_t from,
                                                                             int64_t to) {
        if (from < to) std::fill(first + from * s.width, first + to * s.width, 0.0f);
      };
      clear(begin, whole);
      clear(std::max(columns, whole), end);
    }
    return whole;
  }

  const PassSetup<T>& s;
  TileScores<T> tiles_;
  Scratch<T> v_columns_;  // v^T
  GroupedRows<T> grouped_k_, grouped_q_, grouped_dout_;
  Scratch<T> dout_;
  ScoreTile dx_;  // first g
  TileByColumns<T> a_by_key_, dx_by_key_, dx_by_distance_, a_by_vector_;
  TileByRows<T> dx_by_row_;
  Scratch<float> dq_;
  Scratch<float> dk_, dv_;  // sums over tiles
};

}  // namespace adaspan
