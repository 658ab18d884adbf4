// SPDX-License-Identifier: MIT
// Matrix products, by oneDNN. The only file of the project that knows oneDNN is gemm.cpp.
//
// A matrix is f32 or bf16. Both sides of a product have one type (but weights may be f32 beside
// bf16: they are rounded on the way); sums are f32, and a bf16 result is rounded once. All work is
// cut in pieces that the sizes alone fix, each done by one thread: the same bits come out for any
// number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <adaspan/core/tensor.h>

namespace adaspan {

/// A matrix somewhere in memory: element (i,j) is number i*row_stride + j*column_stride of data;
/// one of the strides is 1. Transposing costs nothing.
struct ConstMatrix {
  const void* data;
  DType type;
  int64_t rows, columns;
  int64_t row_stride, column_stride = 1;

  ConstMatrix transposed() const { return {data, type, columns, rows, column_stride, row_stride}; }
  /// Rows begin .. end-1.
  ConstMatrix rows_of(int64_t begin, int64_t end) const;
};

/// A matrix to be written, stored by rows.
struct Matrix {
  void* data;
  DType type;
  int64_t rows, columns;
  int64_t row_stride;

  operator ConstMatrix() const { return {data, type, rows, columns, row_stride}; }
  Matrix rows_of(int64_t begin, int64_t end) const;
};

/// A whole row-major matrix without gaps.
template <class T>
ConstMatrix matrix(const T* data, int64_t rows, int64_t columns) {
  return {data, dtype_of<T>, rows, columns, columns};
}
template <class T>
Matrix matrix(T* data, int64_t rows, int64_t columns) {
  return {data, dtype_of<T>, rows, columns, columns};
}
/// A tensor [..., n] as a matrix of n columns.
ConstMatrix matrix(const Tensor& tensor);
Matrix matrix(Tensor& tensor);

struct ProductOptions {
  const float* bias = nullptr;  ///< [columns of c], added to every row
  bool relu = false;            ///< c = max(c, 0), after all that is added
  bool accumulate = false;      ///< c += a b instead of c = a b
  bool residual = false;        ///< each run adds a matrix of c's extents and type
};

/// c = a b for any number of matrices a and one b: what takes preparation is done once.
class Product {
 public:
  /// `a`, `c`: the types of those matrices. `rows`: how many rows all a have together, about; b is
  /// brought into oneDNN's own layout when there are enough of them.
  Product(DType a, DType c, const ConstMatrix& b, int64_t rows, const ProductOptions& options = {});
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// By the calling thread alone; may be called by several at once.
  void run(const Matrix& c, const ConstMatrix& a,
           const std::optional<ConstMatrix>& residual = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// sum_r a[r,:]^T b[r,:], an m x n matrix, over very many rows: piece by piece of the rows, then
/// the pieces' sums are added in their order.
class RowSums {
 public:
  /// How many of `rows` rows make a piece.
  static int64_t rows_per_piece(int64_t rows);

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

struct GemmOptions {
  const float* bias = nullptr;               ///< [columns of c], added to every row
  std::optional<ConstMatrix> residual = {};  ///< of c's extents and type, added
  bool relu = false;                         ///< c = max(c, 0), after all that is added
  bool accumulate = false;                   ///< c += a b instead of c = a b
  /// Called with each band [begin, end) of rows of c once it is there, by the thread that made it.
  std::function<void(int64_t begin, int64_t end)> after = {};
};

/// c [m,n] = a [m,k] b [k,n]
void gemm(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b,
          const GemmOptions& options = {});

/// c [m,n] = a^T b, or c += for a [rows,m] and b [rows,n] without gaps, by RowSums.
void gemm_long_sums(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b,
                    bool accumulate = false);

/// Limits oneDNN to the level isa(). For the start of a program: throws Error after the first
/// product.
void limit_products_to_isa();

/// The library that computes the products, "2.6.3": the one loaded, not the one compiled with.
std::string onednn_version();

}  // namespace adaspan
