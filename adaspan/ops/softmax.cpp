// SPDX-License-Identifier: MIT
// y = m e, e = e^x / sum(m e^x)
// With c = sum(dy y):   dx = y (dy - c)      dm = e (dy - c)
#include "adaspan/ops/softmax.h"

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 64;

/// d = weight (dy - sum(dy y)), row by row
Tensor minus_mean_times(const Tensor& weight, const Tensor& dy, const Tensor& y) {
  const int64_t E = y.shape()[-1];
  Tensor d(y.shape());
  parallel_chunks(y.shape().rows(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float c = row_kernels().dot(dy.data() + r * E, y.data() + r * E, E);
      for (int64_t j = r * E; j < (r + 1) * E; ++j) {
        d.data()[j] = weight.data()[j] * (dy.data()[j] - c);
      }
    }
  });
  return d;
}

/// The gradient of a mask that all rows share: the sum over rows, each a part of it.
Tensor sum_to(const Shape& shape, Tensor d) {
  if (d.shape() == shape) return d;
  const int64_t E = shape[-1];
  Tensor sum = Tensor::zeros(shape);
  add_in_order(d.shape().rows(), E, 64, [&](int64_t r, int64_t begin, int64_t end) {
    row_kernels().add_to_sums(sum.data() + begin, d.data() + r * E + begin, end - begin);
  });
  return sum;
}

}  // namespace

Variable softmax(Tape& tape, const Variable& x, const Variable& mask) {
  const int64_t E = x.shape()[-1], rows = x.shape().rows();
  require(!mask || mask.shape() == x.shape() || mask.shape() == Shape{1, E},
          "[softmax] expected a mask of shape {} or [1, {}]; got {}", x.shape().text(), E,
          mask ? mask.shape().text() : "none");
  require_f32("softmax", x);
  if (mask) require_f32("softmax", mask);
  const int64_t mask_stride = mask && mask.shape() == x.shape() ? E : 0;

  Tensor result(x.shape());
  Tensor unmasked;  // e; without a mask it equals y
  if (mask) unmasked = Tensor(x.shape());
  parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      row_kernels().softmax(result.data() + r * E, mask ? unmasked.data() + r * E : nullptr,
                            x.value().data() + r * E,
                            mask ? mask.value().data() + r * mask_stride : nullptr, E);
    }
  });
  const Value y = share(std::move(result));
  const bool mask_wanted = mask && mask.requires_grad();

  // saved: y, and e where the mask has a gradient
  return tape.record("softmax", {x, mask}, y,
                     [dx = x.grad(), dm = mask_wanted ? mask.grad() : GradientRef(), y,
                      e = mask_wanted ? share(std::move(unmasked)) : nullptr,
                      mask_shape = mask ? mask.shape() : Shape()](const Tensor& dy) {
                       if (dx.wanted()) dx.add(minus_mean_times(*y, dy, *y));
                       if (dm.wanted()) dm.add(sum_to(mask_shape, minus_mean_times(*e, dy, *y)));
                     });
}

}  // namespace adaspan
