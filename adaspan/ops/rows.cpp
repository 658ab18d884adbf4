// SPDX-License-Identifier: MIT
// y[r] = x[rows[r]]                    dx[rows[r]] += dy[r]
// y[rows_i[r]] = factor parts_i[r]     dparts_i[r] = factor dy[rows_i[r]]
#include "adaspan/ops/rows.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 256;

/// y = zeros
template <class T>
void clear(Tensor& y) {
  T* const all = y.data<T>();
  parallel_chunks(y.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    std::fill(all + begin, all + end, from_float<T>(0));
  });
}

/// Calls body(r, rows[r]) for each r whose row there is; others(r) for kNoRow.
template <class Body, class Others>
void for_each_row(const Tensor& rows, const Body& body, const Others& others) {
  parallel_chunks(rows.elements(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int32_t row = rows.data<int32_t>()[r];
      row == kNoRow ? others(r) : body(r, row);
    }
  });
}

/// y[r] = factor x[rows[r]], or zeros; n columns
template <class T>
void take(Tensor& y, const Tensor& x, const Tensor& rows, int64_t n, float factor) {
  for_each_row(
      rows,
      [&](int64_t r, int64_t row) {
        const T* const from = x.data<T>() + row * n;
        T* const to = y.data<T>() + r * n;
        for (int64_t i = 0; i < n; ++i) to[i] = from_float<T>(factor * to_float(from[i]));
      },
      [&](int64_t r) { std::fill_n(y.data<T>() + r * n, n, from_float<T>(0)); });
}

/// y[rows[r]] = factor x[r]
template <class T>
void put(Tensor& y, const Tensor& x, const Tensor& rows, int64_t n, float factor) {
  for_each_row(
      rows,
      [&](int64_t r, int64_t row) {
        const T* const from = x.data<T>() + r * n;
        T* const to = y.data<T>() + row * n;
        for (int64_t i = 0; i < n; ++i) to[i] = from_float<T>(factor * to_float(from[i]));
      },
      [](int64_t) {});
}

/// y[rows[r]] += x[r]
template <class T>
void add(Tensor& y, const Tensor& x, const Tensor& rows, int64_t n) {
  for_each_row(
      rows,
      [&](int64_t r, int64_t row) {
        T* const to = y.data<T>() + row * n;
        row_kernels<T>().add(to, to, x.data<T>() + r * n, n);
      },
      [](int64_t) {});
}

/// Rows that meet would be written by two threads at once.
void check_rows(const char* op, const std::vector<Tensor>& parts, int64_t rows) {
  std::vector<bool> seen(static_cast<size_t>(rows));
  for (const Tensor& part : parts) {
    for (int32_t row : part.values<int32_t>()) {
      if (row == kNoRow) continue;
      require(row >= 0 && row < rows, "[{}] expected rows in [0, {}); got {}", op, rows, row);
      require(!seen[static_cast<size_t>(row)], "[{}] expected distinct rows; got {} twice", op,
              row);
      seen[static_cast<size_t>(row)] = true;
    }
  }
}

std::vector<Tensor> copies(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> all;
  for (const Tensor& tensor : tensors) all.push_back(tensor.clone());
  return all;
}

/// The extents of all axes but the first.
std::vector<int64_t> rest_of(const Shape& shape) {
  return {shape.extents().begin() + 1, shape.extents().end()};
}

}  // namespace

Variable gather_rows(Tape& tape, const Variable& x, const Tensor& rows) {
  require(x.shape().rank() >= 1, "[gather_rows] expected x [..., n]; got {}", x.shape().text());
  std::vector<Tensor> list;
  list.push_back(rows.clone());
  check_rows("gather_rows", list, x.shape().rows());
  const int64_t n = x.shape()[-1];
  Tensor y({rows.elements(), n}, x.type());
  const Timed timed("gather_rows", 0, 2.0 * static_cast<double>(y.bytes()));
  with_type(y.type(), [&]<class T>(T) { take<T>(y, x.value(), rows, n, 1); });

  // saved: rows
  return tape.record("gather_rows", {x}, std::move(y),
                     [dx = x.grad(), rows = share(std::move(list[0])), n](const Tensor& dy) {
                       const Timed backward_timed("gather_rows backward", 0,
                                                  3.0 * static_cast<double>(dy.bytes()));
                       dx.add_by([&](Tensor& sum, bool accumulate) {
                         with_type(dy.type(), [&]<class T>(T) {
                           if (!accumulate) clear<T>(sum);
                           add<T>(sum, dy, *rows, n);
                         });
                       });
                     });
}

Variable scatter_rows(Tape& tape, const std::vector<Variable>& parts,
                      const std::vector<Tensor>& rows, const Shape& leading, float factor) {
  require(!parts.empty() && parts.size() == rows.size(),
          "[scatter_rows] expected parts, and rows for each; got {} and {}", parts.size(),
          rows.size());
  const DType type = parts[0].type();
  const std::vector<int64_t> rest = rest_of(parts[0].shape());
  for (size_t i = 0; i < parts.size(); ++i) {
    require(parts[i].shape()[0] == rows[i].elements() && rest_of(parts[i].shape()) == rest &&
                parts[i].type() == type,
            "[scatter_rows] expected {} rows like those of {} {}; got {} {}", rows[i].elements(),
            name(type), parts[0].shape().text(), name(parts[i].type()), parts[i].shape().text());
  }
  check_rows("scatter_rows", rows, leading.elements());
  std::vector<int64_t> extents = leading.extents();
  extents.insert(extents.end(), rest.begin(), rest.end());
  const int64_t n = Shape(rest).elements();

  Tensor y(Shape(std::move(extents)), type);
  const Timed timed("scatter_rows", 0, 2.0 * static_cast<double>(y.bytes()));
  std::vector<GradientRef> dparts;
  with_type(type, [&]<class T>(T) {
    clear<T>(y);
    for (size_t i = 0; i < parts.size(); ++i) {
      put<T>(y, parts[i].value(), rows[i], n, factor);
      dparts.push_back(parts[i].grad());
    }
  });

  // saved: rows
  return tape.record("scatter_rows", parts, std::move(y),
                     [dparts, rows = std::make_shared<std::vector<Tensor>>(copies(rows)), rest, n,
                      factor](const Tensor& dy) {
                       const Timed backward_timed("scatter_rows backward", 0,
                                                  2.0 * static_cast<double>(dy.bytes()));
                       for (size_t i = 0; i < dparts.size(); ++i) {
                         if (!dparts[i].wanted()) continue;
                         const Tensor& places = (*rows)[i];
                         std::vector<int64_t> shape{places.elements()};
                         shape.insert(shape.end(), rest.begin(), rest.end());
                         Tensor d(Shape(std::move(shape)), dy.type());
                         with_type(dy.type(),
                                   [&]<class T>(T) { take<T>(d, dy, places, n, factor); });
                         dparts[i].add(std::move(d));
                       }
                     });
}

}  // namespace adaspan
