// SPDX-License-Identifier: MIT
#include "adaspan/ops/gemm.h"

#include <algorithm>
#include <cassert>

#include "adaspan/core/cpu.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

// As fast as the whole matrix at once, and enough pieces for many threads.
constexpr int64_t kMostRows = 512;

/// Rows (or columns) of a piece: at least two pieces, for the threads.
int64_t piece_of(int64_t extent) {
  const int64_t half = extent > 16 ? (extent + 31) / 32 * 16 : (extent + 1) / 2;
  return std::clamp<int64_t>(half, 1, kMostRows);
}

// Rows that lie a power of two apart share few sets of a cache, and a product with a transposed
// matrix walks down its columns: 16 elements between the rows double its speed.
CopiedRows spread(const ConstMatrix& m) {
  return {m, m.columns + 16};
}

}  // namespace

void gemm(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b,
          const ProductOptions& options, const PieceDone& after) {
  if (c.rows != 1) {
    const Product product(a.type, c.type, b, a.rows, options);
    parallel_chunks(c.rows, piece_of(c.rows), [&](int64_t begin, int64_t end) {
      product.run(c.rows_of(begin, end), a.rows_of(begin, end), begin);
      if (after) after(begin, end);
    });
    return;
  }
  parallel_chunks(c.columns, piece_of(c.columns), [&](int64_t begin, int64_t end) {
    ProductOptions some = options;
    if (some.bias) some.bias += begin;
    if (some.residual) some.residual = some.residual->columns_of(begin, end);
    Product(a.type, c.type, b.columns_of(begin, end), 1, some).run(c.columns_of(begin, end), a);
  });
  if (after) after(0, 1);
}

struct RowSums::State {
  int64_t m, n;
  bool swapped;  // sums are [n,m], not [m,n]: oneDNN is faster when the first is the smaller
  Tensor sums;   // [pieces, m*n]
};

// A piece's sum costs as much memory traffic as many of its rows, hence large pieces; at most 16,
// which bounds the memory for their sums. But a few of them at least, for the threads.
int64_t RowSums::rows_per_piece(int64_t rows) {
  const int64_t few = std::clamp<int64_t>(rows / 256, 1, 4);
  const int64_t pieces = std::clamp<int64_t>(rows / 1024, few, 16);
  return std::max<int64_t>(32, ((rows + pieces - 1) / pieces + 31) / 32 * 32);
}

RowSums::RowSums(int64_t m, int64_t n, int64_t pieces)
    : state_(new State{m, n, m > n, Tensor({pieces, m * n})}) {}

RowSums::~RowSums() = default;

void RowSums::run(int64_t piece, const ConstMatrix& a, const ConstMatrix& b) {
  State& s = *state_;
  assert(a.rows == b.rows && a.columns == s.m && b.columns == s.n && a.type == b.type);
  assert(piece < s.sums.shape()[0]);
  const ConstMatrix &left = s.swapped ? b : a, &right = s.swapped ? a : b;
  const Matrix sum = matrix(s.sums.data() + piece * s.m * s.n, left.columns, right.columns);
  if (a.rows == 0) return fill_with_zeros(sum);
  if (a.type == DType::f32 && isa() <= Isa::avx2) {  // there oneDNN's sums over rows are slow
    for (int64_t row = 0; row < a.rows; row += kRowsCopied) {
      const int64_t end = std::min(a.rows, row + kRowsCopied);
      const CopiedRows l = spread(left.rows_of(row, end)), r = spread(right.rows_of(row, end));
      Product(a.type, sum.type, r.rows, /*rows=*/1, {.accumulate = row > 0})
          .run(sum, l.rows.transposed());
    }
  } else {
    sum_over_rows(sum, left, right);
  }
}

void RowSums::finish(int64_t first, const Matrix& c, bool accumulate) const {
  const State& s = *state_;
  assert(c.type == DType::f32 && c.columns == s.n && first + c.rows <= s.m);
  const double terms = static_cast<double>(s.sums.shape()[0] * c.rows * c.columns);
  const Timed timed("added pieces", terms, 4 * terms);
  float* to = static_cast<float*>(c.data);
  const auto put = [&](int64_t i, int64_t j, float value) {
    float& element = to[i * c.row_stride + j];
    element = accumulate ? element + value : value;
  };
  // Runs of adjacent sums: rows of the result, or parts of its columns.
  const int64_t runs = s.swapped ? s.n : c.rows, length = s.swapped ? c.rows : s.n;
  const int64_t stride = s.swapped ? s.m : s.n, offset = s.swapped ? first : first * s.n;
  parallel_chunks(runs, 16, [&](int64_t begin, int64_t end) {
    Tensor total = Tensor::zeros({end - begin, length});
    add_in_order(s.sums.shape()[0], 1, 1, [&](int64_t piece, int64_t, int64_t) {
      const float* sums = s.sums.data() + piece * s.m * s.n + offset;
      for (int64_t run = begin; run < end; ++run) {
        row_kernels().add_to_sums(total.data() + (run - begin) * length, sums + run * stride,
                                  length);
      }
    });
    const float* from = total.data();
    if (s.swapped) {
      for (int64_t i = 0; i < c.rows; ++i) {
        for (int64_t j = begin; j < end; ++j) put(i, j, from[(j - begin) * length + i]);
      }
    } else {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < s.n; ++j) put(i, j, from[(i - begin) * length + j]);
      }
    }
  });
}

void gemm_long_sums(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b, bool accumulate) {
  assert(c.type == DType::f32 && c.row_stride == c.columns && c.rows == a.columns);
  const int64_t rows = a.rows, step = RowSums::rows_per_piece(rows);
  RowSums sums(c.rows, c.columns, chunk_count(rows, step));
  parallel_parts(rows, step, [&](int64_t piece, int64_t begin, int64_t end) {
    sums.run(piece, a.rows_of(begin, end), b.rows_of(begin, end));
  });
  sums.finish(0, c, accumulate);
}

}  // namespace adaspan
