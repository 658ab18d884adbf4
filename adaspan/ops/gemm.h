// SPDX-License-Identifier: MIT
// Products of matrices by all threads. The work is cut in pieces that the sizes alone fix, each
// done by one thread (onednn.h): the same bits come out for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <adaspan/ops/matrix.h>
#include <adaspan/ops/onednn.h>

namespace adaspan {

/// Called with each piece [begin, end) of rows of a product once it is there, by the thread that
/// made it.
using PieceDone = std::function<void(int64_t begin, int64_t end)>;

/// c [m,n] = a [m,k] b [k,n]
void gemm(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b,
          const ProductOptions& options = {}, const PieceDone& after = {});

/// sum_r a[r,:]^T b[r,:], an m x n matrix, over very many rows: piece by piece of the rows, then
/// the pieces' sums are added in their order.
class RowSums {
 public:
  /// How many of `rows` rows make a piece.
  static int64_t rows_per_piece(int64_t rows);
  /// So many at a time where operands are copied (f32 with AVX2): they stay in cache until they are
  /// multiplied.
  static constexpr int64_t kRowsCopied = 256;

  RowSums(int64_t m, int64_t n, int64_t pieces);
  ~RowSums();
  RowSums(const RowSums&) = delete;
  RowSums& operator=(const RowSums&) = delete;

  /// The sum of one piece: a [rows,m], b [rows,n] of one type, both without gaps. By the calling
  /// thread alone; several may work on different pieces at once.
  void run(int64_t piece, const ConstMatrix& a, const ConstMatrix& b);

  /// c [rows, n] (f32) = rows first .. of the result, or c += them. All pieces must have been run.
  void finish(int64_t first, const Matrix& c, bool accumulate = false) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// c [m,n] = a^T b, or c += for a [rows,m] and b [rows,n] without gaps, by RowSums.
void gemm_long_sums(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b,
                    bool accumulate = false);

}  // namespace adaspan
