// SPDX-License-Identifier: MIT
// The three band products, made of blocks. A Unit multiplies one block:
//   kRows, kColumns: its size; kGroups: groups of its sums come in multiples of this
//   start(): called before the blocks of a product
//   block(c, c_stride, a, b, b_stride, columns, groups, add): kRows x columns (at most kColumns)
// Units live in unnamed namespaces of files compiled for one instruction set, so that each file
// gets functions of its own.
#pragma once

#include "ops/kernels/span_kernels.h"

namespace adaspan {

template <class Unit, class T>
struct BandProducts {
  static constexpr int64_t kChunk = 64;  // of a sum or of columns: what a tile reuses stays in L1

  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  static int64_t whole_groups(int64_t numbers) {
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    return (numbers + kNumbers - 1) / kNumbers * Unit::kGroups;
  }

  static void scores(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                     int64_t groups, Band band, bool add) {
    Unit::start();
    const int64_t width = band.slope * (Unit::kRows - 1) + band.E;  // of a block of rows
    for (int64_t begin = 0; begin < width; begin += Unit::kColumns) {
      for (int64_t i = 0; i < band.rows; i += Unit::kRows) {
        const int64_t j = band.slope * i + begin;
        Unit::block(c + i * c_stride + j, c_stride, {a.data + i * a.row, a.row, a.step},
                    b + j * kGroup<T>, b_stride, smaller(Unit::kColumns, width - begin), groups,
                    add);
      }
    }
  }

  static void mix(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band, bool add) {
    Unit::start();
    const int64_t terms = band.slope * (Unit::kRows - 1) + band.E;
    for (int64_t begin = 0; begin < terms; begin += kChunk) {
      for (int64_t i = 0; i < band.rows; i += Unit::kRows) {
        const int64_t j = band.slope * i + begin;
        for (int64_t d = 0; d < width; d += Unit::kColumns) {
          Unit::block(c + i * width + d, width, {a.data + i * a.row + j, a.row, a.step},
                      b + j * width + d * kGroup<T>, width, smaller(Unit::kColumns, width - d),
                      whole_groups(smaller(kChunk, terms - begin)), add || begin > 0);
        }
      }
    }
  }

  static void scatter(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band) {
    Unit::start();
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    const int64_t columns = band.slope * (band.rows - 1) + band.E;
    for (int64_t j = 0; j < columns; j += Unit::kRows) {
      int64_t begin = 0, end = band.rows;  // of the rows that see a column of the block
      if (band.slope != 0) {
        begin = j < band.E ? 0 : (j - band.E + 1) / kNumbers * kNumbers;
        end = smaller(end, j + Unit::kRows);
      }
      for (int64_t d = 0; d < width; d += Unit::kColumns) {
        Unit::block(c + j * width + d, width,
                    {a.data + j * a.row + begin / kGroup<T> * a.step, a.row, a.step},
                    b + begin * width + d * kGroup<T>, width, smaller(Unit::kColumns, width - d),
                    whole_groups(end - begin), true);
      }
    }
  }

  static constexpr SpanKernels<T> table(const char* level) {
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    return {.level = level,
            .row_block = Unit::kRows > kNumbers ? Unit::kRows : kNumbers,
            .margin = (Unit::kRows + kNumbers + 15) / 16 * 16,
            .width_block = 16 * kGroup<T>,
            .scores = scores,
            .mix = mix,
            .scatter = scatter};
  }
};

}  // namespace adaspan
