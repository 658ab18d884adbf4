// SPDX-License-Identifier: MIT
// The innermost loops of span attention: three small matrix products over a band, and the softmax
// of a few of its rows. Compiled once for each instruction set; the program picks one.
//
// The way from a tile to a multiply-add:
//
//     ForwardPass, BackwardPass   ops/tiles/tile_passes.h: one tile after another
//        |                        a table of function pointers, chosen once: span_kernels()
//     SpanKernels<T>::scores      this file; mix and scatter likewise
//        |
//     BandProducts<Unit,T>        band_products.h: cuts a band into blocks
//        |                        inlined from here on
//     Unit::block<V>              4 or 16 rows of V vectors, whose sums stay in registers:
//        |                        vector_unit.h, span_kernels_amx.cpp; PlainUnit
//     Lanes::multiply_add         one instruction: span_kernels_level.cpp (f32),
//                                 span_kernels_avx512_bf16.cpp; AMX: amx_tiles.h
//
// A tile holds the scores of a few queries (rows i) against the keys that they see, in rows of
// stride W. Row i sees columns [i, i+E) and no others:
//
//     column  0 1 2 3 4 5 6 7        read with stride W, a column is a key (slope 1);
//     row 0   x x x x x . . .        read with stride W+1, a column is a distance and the same
//     row 1   . x x x x x . .        memory is a plain rectangle (slope 0).
//     row 2   . . x x x x x .        So keys and positions need no re-arranging of scores.
//
// Around the band lie `margin` zeros on both sides of each row: products work in blocks and read a
// little of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include <adaspan/core/bf16.h>

namespace adaspan {

/// Numbers that a product takes together: 32 bits, one float or two bf16.
template <class T>
inline constexpr int64_t kGroup = 4 / sizeof(T);

/// The left operand: group g of row i lies at data + i*row + g*step.
template <class T>
struct LeftOperand {
  const T* data;
  int64_t row, step;
};

/// Which part of a tile a product covers: row i, columns [slope i, slope i + E).
struct Band {
  int64_t rows;
  int64_t slope;  ///< 1: columns are keys; 0: columns are distances
  int64_t E;
};

/// T: what the operands are stored as. All sums are f32. The right operand b has group g of column
/// j at b + (g*stride + j)*kGroup<T>. Rows of results are padded to 16 columns, tiles to `rows` of
/// a multiple of row_block; what lies beyond is overwritten.
template <class T>
struct SpanKernels {
  int64_t row_block;    ///< tiles have a multiple of so many rows
  int64_t margin;       ///< zeros that a row of the left operand needs on both sides of its band
  int64_t width_block;  ///< head widths are padded to a multiple of it

  /// c[i,j] (+)= sum over g < groups of a[i,g] b[g,j], (i,j) in the band
  void (*scores)(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                 int64_t groups, Band band, bool add);
  /// c[i,:] (+)= sum over j in the band of a[i,j] b[j,:], b of `width` columns; a.step is kGroup<T>
  void (*mix)(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band, bool add);
  /// c[j,:] += sum over i with (i,j) in the band of a[i,j] b[i,:], but = in blocks of columns that
  /// begin at `fresh` or behind it; a is given by columns: group g (rows g*kGroup<T> ...) of column
  /// j lies at data + j*row + g*step
  void (*scatter)(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band, int64_t fresh);

  const SpanKernels* counting;  ///< see counting_span_kernels()
};

/// Where a row looks. Its column j is distance E-j; those before `first` have no weight.
struct MaskedRow {
  int64_t E, first;
  float z, ramp;  ///< span and R, in steps
  bool operator==(const MaskedRow&) const = default;
};

/// Rows whose softmax is made together: what one waits for, another fills.
inline constexpr int64_t kRowsTogether = 4;

/// A row of scores, yet without the factor. A mask below 2^-50 is 0, and where it and the slope
/// are 0, a score changes nothing, even one that is no number.
struct SoftmaxRow {
  const float *mask, *slope;  ///< m and dm/dz of each column
  const float* keep;  ///< dropout: 0 or 1/(1-rate) for each column, also from `persistent` on; null
                      ///< without, and then for all rows
};

/// The softmax of `count` rows that lie `stride` numbers apart: of E columns with a mask, and of P
/// more, from column `persistent` on, that are seen in full.
struct SoftmaxRows {
  int64_t E, persistent, P;
  float factor;  ///< 1/sqrt(D), of the scores
  int64_t stride, count;
  SoftmaxRow row[kRowsTogether];
};

/// What the softmax of a row is made from again, with s = factor x:
/// e^s / sum(m e^s) = e^(s - top) scale.
struct SoftmaxScale {
  float top;    ///< the largest s that has weight
  float scale;  ///< 1 / sum(m e^(s - top)), at most 2^25; 0 if nothing has weight
};

/// Rows of a matrix, of which the first lies at `data`, the next `stride` numbers on.
template <class T>
struct PlacedRows {
  T* data;
  int64_t stride;
};

/// Columns from E up to the next multiple of 16 may be overwritten, and so many behind the last.
struct SpanRowKernels {
  /// mask: m = clamp((R + z - u)/R, 0, 1), u = E-j-1; slope: dm/dz, 1/R on the ramp, its ends
  /// included. Both are 0 before `first`.
  void (*span_mask)(float* mask, float* slope, const MaskedRow& row);
  /// x: scores -> weights keep m e^(factor x - top), yet to be multiplied by the row's scale.
  void (*softmax)(SoftmaxScale* scales, float* x, const SoftmaxRows& rows);
  /// x: scores -> weights a = keep m e^(factor x) / sum(m e^(factor x)); g: da/keep = dout.v -> dx,
  /// the gradient of the scores, factor included. dz: the gradient of each row's z, in which a
  /// column of mask 0 has e^s / sum(m e^s) at most 2^26.
  void (*softmax_backward)(float* dz, float* x, float* g, const SoftmaxRows& rows,
                           const SoftmaxScale* scales);
  /// y[w*y_stride + r] = x[r*x_stride + w], 32-bit words; rows and words are multiples of 16
  void (*transpose)(uint32_t* y, int64_t y_stride, const uint32_t* x, int64_t x_stride,
                    int64_t rows, int64_t words);
  /// y = x; all in bytes
  void (*copy)(PlacedRows<std::byte> y, PlacedRows<const std::byte> x, int64_t rows, int64_t n);
  /// y = x rounded, each row times its factor; null: 1
  void (*to_bf16)(PlacedRows<bf16> y, PlacedRows<const float> x, const float* factors, int64_t rows,
                  int64_t n);
  /// y = x, each row times its factor; null: 1
  void (*to_f32)(PlacedRows<float> y, PlacedRows<const float> x, const float* factors, int64_t rows,
                 int64_t n);
  /// y[2j] = x0[j], y[2j+1] = x1[j], rounded
  void (*to_pairs)(bf16* y, const float* x0, const float* x1, int64_t n);
  /// y[2j] = x0[j], y[2j+1] = x1[j]
  void (*interleave)(bf16* y, const bf16* x0, const bf16* x1, int64_t n);
};

/// All that attention is made of: products of both types, and what is done with a row.
struct SpanKernelTables {
  const SpanKernels<float>& f32_products;
  const SpanKernels<bf16>& bf16_products;
  const SpanRowKernels& rows;

  template <class T>
  const SpanKernels<T>& products() const {
    if constexpr (kGroup<T> == 1) {
      return f32_products;
    } else {
      return bf16_products;
    }
  }
};

/// Those for the level in use (adaspan/core/cpu.h). bf16 without hardware for it: the plain ones.
SpanKernelTables span_kernels();

/// The same cut into the same blocks, but these are counted, not multiplied: to be held against the
/// multiply-adds that the spans need.
SpanKernelTables counting_span_kernels();
/// Multiply-adds of all blocks counted since the process began, by any thread.
extern int64_t counted_multiply_adds;

}  // namespace adaspan
