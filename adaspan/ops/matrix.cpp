// SPDX-License-Identifier: MIT
#include "adaspan/ops/matrix.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace adaspan {
namespace {

/// Element number i of data.
void* at(const void* data, DType type, int64_t i) {
  return static_cast<std::byte*>(const_cast<void*>(data)) + i * static_cast<int64_t>(size_of(type));
}

}  // namespace

ConstMatrix ConstMatrix::rows_of(int64_t begin, int64_t end) const {
  ConstMatrix part = *this;
  part.data = at(data, type, begin * row_stride);
  part.rows = end - begin;
  return part;
}

ConstMatrix ConstMatrix::columns_of(int64_t begin, int64_t end) const {
  return transposed().rows_of(begin, end).transposed();
}

Matrix Matrix::rows_of(int64_t begin, int64_t end) const {
  return {at(data, type, begin * row_stride), type, end - begin, columns, row_stride};
}

Matrix Matrix::columns_of(int64_t begin, int64_t end) const {
  return {at(data, type, begin), type, rows, end - begin, row_stride};
}

ConstMatrix matrix(const Tensor& t) {
  return with_type(
      t.type(), [&]<class T>(T) { return matrix(t.data<T>(), t.shape().rows(), t.shape()[-1]); });
}
Matrix matrix(Tensor& t) {
  return with_type(
      t.type(), [&]<class T>(T) { return matrix(t.data<T>(), t.shape().rows(), t.shape()[-1]); });
}

void fill_with_zeros(const Matrix& m) {
  for (int64_t i = 0; i < m.rows; ++i) {
    std::memset(at(m.data, m.type, i * m.row_stride), 0,
                static_cast<size_t>(m.columns) * size_of(m.type));
  }
}

CopiedRows::CopiedRows(const ConstMatrix& m, int64_t row_stride)
    : memory(allocate(static_cast<size_t>(m.rows * row_stride) * size_of(m.type))),
      rows{memory.get(), m.type, m.rows, m.columns, row_stride} {
  assert(m.column_stride == 1 && row_stride >= m.columns);
  for (int64_t i = 0; i < m.rows; ++i) {
    std::memcpy(at(rows.data, m.type, i * row_stride), at(m.data, m.type, i * m.row_stride),
                static_cast<size_t>(m.columns) * size_of(m.type));
  }
}

}  // namespace adaspan
