// SPDX-License-Identifier: MIT
// The three band products, made of blocks. A Unit multiplies one block:
//   kRows: its rows; kWidth, kVectors: columns of a vector, and the most vectors of a block;
//   kGroups: groups of its sums come in multiples of this
//   start(): called before the blocks of a product
//   block<V>(c, c_stride, a, b, b_stride, groups, add): c (+)= a b, kRows rows of V vectors
//   kHalves: there is block<V,true>, whose last vector is half as wide
// Units live in unnamed namespaces of files compiled for one instruction set, so that each file
// gets functions of its own.
#pragma once

#include <adaspan/ops/kernels/span_kernels.h>

namespace adaspan {

template <class Unit, class T>
struct BandProducts {
  // Of a sum: what a tile reuses stays in L1.
  static constexpr int64_t kChunk = 64 * kGroup<T>;

  static constexpr int64_t kColumns = Unit::kWidth * Unit::kVectors;

  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

  /// A block of at most V vectors, as many as there are columns for.
  template <int V = Unit::kVectors>
  static void block(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                    int64_t columns, int64_t groups, bool add) {
    if constexpr (V > 1) {
      if (columns <= (V - 1) * Unit::kWidth) {
        return block<V - 1>(c, c_stride, a, b, b_stride, columns, groups, add);
      }
    }
    if constexpr (Unit::kHalves) {
      if (columns <= (V - 1) * Unit::kWidth + Unit::kWidth / 2) {
        return Unit::template block<V, true>(c, c_stride, a, b, b_stride, groups, add);
      }
    }
    Unit::template block<V>(c, c_stride, a, b, b_stride, groups, add);
  }
  static int64_t whole_groups(int64_t numbers) {
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    return (numbers + kNumbers - 1) / kNumbers * Unit::kGroups;
  }

  static void scores(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                     int64_t groups, Band band, bool add) {
    Unit::start();
    const int64_t width = band.slope * (Unit::kRows - 1) + band.E;  // of a block of rows
    for (int64_t begin = 0; begin < width; begin += kColumns) {
      for (int64_t i = 0; i < band.rows; i += Unit::kRows) {
        const int64_t j = band.slope * i + begin;
        block(c + i * c_stride + j, c_stride, {a.data + i * a.row, a.row, a.step},
              b + j * kGroup<T>, b_stride, smaller(kColumns, width - begin), groups, add);
      }
    }
  }

  static void mix(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band, bool add) {
    Unit::start();
    const int64_t terms = band.slope * (Unit::kRows - 1) + band.E;
    for (int64_t begin = 0; begin < terms; begin += kChunk) {
      for (int64_t i = 0; i < band.rows; i += Unit::kRows) {
        const int64_t j = band.slope * i + begin;
        for (int64_t d = 0; d < width; d += kColumns) {
          block(c + i * width + d, width, {a.data + i * a.row + j, a.row, a.step},
                b + j * width + d * kGroup<T>, width, smaller(kColumns, width - d),
                whole_groups(smaller(kChunk, terms - begin)), add || begin > 0);
        }
      }
    }
  }

  static void scatter(float* c, LeftOperand<T> a, const T* b, int64_t width, Band band,
                      int64_t fresh) {
    Unit::start();
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    const int64_t columns = band.slope * (band.rows - 1) + band.E;
    for (int64_t j = 0; j < columns; j += Unit::kRows) {
      int64_t begin = 0, end = band.rows;  // of the rows that see a column of the block
      if (band.slope != 0) {
        begin = j < band.E ? 0 : (j - band.E + 1) / kNumbers * kNumbers;
        end = smaller(end, j + Unit::kRows);
      }
      for (int64_t d = 0; d < width; d += kColumns) {
        block(c + j * width + d, width,
              {a.data + j * a.row + begin / kGroup<T> * a.step, a.row, a.step},
              b + begin * width + d * kGroup<T>, width, smaller(kColumns, width - d),
              whole_groups(end - begin), j < fresh);
      }
    }
  }

  static constexpr SpanKernels<T> table(const SpanKernels<T>* counting) {
    constexpr int64_t kNumbers = Unit::kGroups * kGroup<T>;
    return {.row_block = Unit::kRows > kNumbers ? Unit::kRows : kNumbers,
            .margin = (Unit::kRows + kNumbers + 15) / 16 * 16,
            .width_block = 16 * kGroup<T>,
            .scores = scores,
            .mix = mix,
            .scatter = scatter,
            .counting = counting};
  }
};

/// Counts the blocks of a Unit.
template <class Unit, class T>
struct CountingUnit {
  static constexpr int64_t kRows = Unit::kRows, kWidth = Unit::kWidth, kGroups = Unit::kGroups;
  static constexpr int kVectors = Unit::kVectors;
  static constexpr bool kHalves = Unit::kHalves;

  static void start() {}

  template <int V, bool half = false>
  static void block(float*, int64_t, LeftOperand<T>, const T*, int64_t, int64_t groups, bool) {
    constexpr int64_t columns = V * kWidth - (half ? kWidth / 2 : 0);
    __atomic_fetch_add(&counted_multiply_adds, kRows * columns * groups * kGroup<T>,
                       __ATOMIC_RELAXED);
  }
};

template <class Unit, class T>
const SpanKernels<T>& span_kernels_of() {
  static constexpr auto counting = BandProducts<CountingUnit<Unit, T>, T>::table(nullptr);
  static constexpr auto kernels = BandProducts<Unit, T>::table(&counting);
  return kernels;
}

}  // namespace adaspan
