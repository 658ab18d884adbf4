// SPDX-License-Identifier: MIT
// Matrix products, by oneDNN. The only file of the project that knows oneDNN is gemm.cpp.
#pragma once

#include <cstdint>

namespace adaspan {

/// A float matrix somewhere in memory: element (i,j) is data[i*row_stride + j*column_stride]; one
/// of the strides is 1. Transposing costs nothing.
struct ConstMatrix {
  const float* data;
  int64_t rows, columns;
  int64_t row_stride, column_stride = 1;

  ConstMatrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

/// A float matrix to be written, stored by rows.
struct Matrix {
  float* data;
  int64_t rows, columns;
  int64_t row_stride;
};

/// A whole row-major matrix without gaps.
inline ConstMatrix matrix(const float* data, int64_t rows, int64_t columns) {
  return {data, rows, columns, columns};
}
inline Matrix matrix(float* data, int64_t rows, int64_t columns) {
  return {data, rows, columns, columns};
}

struct GemmOptions {
  const float* bias = nullptr;  ///< [columns of c], added to every row
  bool relu = false;            ///< c = max(c, 0) after the bias
  bool accumulate = false;      ///< c += a b instead of c = a b; without bias and relu
};

/// c [m,n] = a [m,k] b [k,n], in bands of c that its size alone fixes, one thread each: each
/// element is one sum in one order, whatever the number of threads.
void gemm(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options = {});

/// The same in smaller bands, for few rows and a long inner extent (weight gradients).
void gemm_long_sums(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options = {});

}  // namespace adaspan
