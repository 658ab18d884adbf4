// SPDX-License-Identifier: MIT
// Views of matrices: where one lies, its type and its extents. They own nothing.
#pragma once

#include <cstddef>
#include <cstdint>

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
  /// Rows (columns) begin .. end-1.
  ConstMatrix rows_of(int64_t begin, int64_t end) const;
  ConstMatrix columns_of(int64_t begin, int64_t end) const;
};

/// A matrix to be written, stored by rows.
struct Matrix {
  void* data;
  DType type;
  int64_t rows, columns;
  int64_t row_stride;

  operator ConstMatrix() const { return {data, type, rows, columns, row_stride}; }
  Matrix rows_of(int64_t begin, int64_t end) const;
  Matrix columns_of(int64_t begin, int64_t end) const;
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

/// Every element of m = 0.
void fill_with_zeros(const Matrix& m);

/// The same rows in memory of their own, `row_stride` elements apart. Throws Error when the system
/// has no more memory.
struct CopiedRows {
  CopiedRows(const ConstMatrix& m, int64_t row_stride);
  Buffer memory;
  ConstMatrix rows;
};

}  // namespace adaspan
