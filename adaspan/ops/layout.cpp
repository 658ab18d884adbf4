// SPDX-License-Identifier: MIT
#include "adaspan/ops/layout.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

void copy_columns(float* to, int64_t to_stride, const float* from, int64_t from_stride,
                  int64_t rows, int64_t width) {
  parallel_chunks(rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::copy_n(from + r * from_stride, width, to + r * to_stride);
    }
  });
}

Shape with_first(const Shape& shape, int64_t extent) {
  std::vector<int64_t> extents = shape.extents();
  extents.at(0) = extent;
  return Shape(std::move(extents));
}

int64_t elements_per_step(const Shape& shape) {
  return with_first(shape, 1).elements();
}

Tensor columns_of(const Tensor& x, int64_t begin, int64_t width) {
  const int64_t n = x.shape()[-1];
  Tensor y(x.shape().with_last(width));
  copy_columns(y.data(), width, x.data() + begin, n, x.shape().rows(), width);
  return y;
}

Tensor steps_of(const Tensor& x, int64_t begin, int64_t count) {
  const int64_t step = elements_per_step(x.shape());
  Tensor y(with_first(x.shape(), count));
  copy_columns(y.data(), step, x.data() + begin * step, step, count, step);
  return y;
}

}  // namespace

Variable reshape(Tape& tape, const Variable& x, const Shape& shape) {
  require(shape.elements() == x.shape().elements(),
          "[reshape] expected a shape of {} elements; got {}", x.shape().elements(), shape.text());
  // saved: nothing
  return tape.record(
      "reshape", {x}, x.value().clone().reshaped(shape),
      [dx = x.grad(), old = x.shape()](Tensor dy) { dx.add(std::move(dy).reshaped(old)); });
}

Variable slice_columns(Tape& tape, const Variable& x, int64_t begin, int64_t width) {
  const int64_t n = x.shape()[-1];
  require(begin >= 0 && width >= 0 && begin + width <= n,
          "[slice_columns] expected columns within {}; got {} from {}", x.shape().text(), width,
          begin);
  // saved: nothing
  return tape.record("slice_columns", {x}, columns_of(x.value(), begin, width),
                     [dx = x.grad(), shape = x.shape(), begin, width](const Tensor& dy) {
                       Tensor d = Tensor::zeros(shape);
                       copy_columns(d.data() + begin, shape[-1], dy.data(), width,
                                    dy.shape().rows(), width);
                       dx.add(std::move(d));
                     });
}

Variable slice_steps(Tape& tape, const Variable& x, int64_t begin, int64_t count) {
  require(begin >= 0 && count >= 0 && begin + count <= x.shape()[0],
          "[slice_steps] expected steps within {}; got {} from {}", x.shape().text(), count, begin);
  // saved: nothing
  return tape.record("slice_steps", {x}, steps_of(x.value(), begin, count),
                     [dx = x.grad(), shape = x.shape(), begin](const Tensor& dy) {
                       Tensor d = Tensor::zeros(shape);
                       std::copy_n(dy.data(), dy.elements(),
                                   d.data() + begin * elements_per_step(shape));
                       dx.add(std::move(d));
                     });
}

Variable concat_columns(Tape& tape, const std::vector<Variable>& parts) {
  require(!parts.empty(), "[concat_columns] expected at least one value; got none");
  int64_t n = 0;
  for (const Variable& part : parts) {
    require(part.shape().with_last(1) == parts[0].shape().with_last(1),
            "[concat_columns] expected values alike but for the last axis; got {} and {}",
            parts[0].shape().text(), part.shape().text());
    n += part.shape()[-1];
  }
  Tensor y(parts[0].shape().with_last(n));
  std::vector<GradientRef> grads;
  std::vector<int64_t> begins;
  int64_t begin = 0;
  for (const Variable& part : parts) {
    const int64_t width = part.shape()[-1];
    copy_columns(y.data() + begin, n, part.value().data(), width, y.shape().rows(), width);
    grads.push_back(part.grad());
    begins.push_back(begin);
    begin += width;
  }
  begins.push_back(begin);
  // saved: nothing
  return tape.record("concat_columns", parts, std::move(y), [grads, begins](const Tensor& dy) {
    for (size_t i = 0; i < grads.size(); ++i) {
      if (grads[i].wanted()) grads[i].add(columns_of(dy, begins[i], begins[i + 1] - begins[i]));
    }
  });
}

Variable concat_steps(Tape& tape, const std::vector<Variable>& parts) {
  require(!parts.empty(), "[concat_steps] expected at least one value; got none");
  int64_t n = 0;
  for (const Variable& part : parts) {
    require(with_first(part.shape(), 1) == with_first(parts[0].shape(), 1),
            "[concat_steps] expected values alike but for the first axis; got {} and {}",
            parts[0].shape().text(), part.shape().text());
    n += part.shape()[0];
  }
  Tensor y(with_first(parts[0].shape(), n));
  std::vector<GradientRef> grads;
  std::vector<int64_t> counts;
  float* to = y.data();
  for (const Variable& part : parts) {
    to = std::copy_n(part.value().data(), part.value().elements(), to);
    grads.push_back(part.grad());
    counts.push_back(part.shape()[0]);
  }
  // saved: nothing
  return tape.record("concat_steps", parts, std::move(y), [grads, counts](const Tensor& dy) {
    int64_t begin = 0;
    for (size_t i = 0; i < grads.size(); ++i) {
      if (grads[i].wanted()) grads[i].add(steps_of(dy, begin, counts[i]));
      begin += counts[i];
    }
  });
}

}  // namespace adaspan
