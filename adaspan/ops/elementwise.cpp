// SPDX-License-Identifier: MIT
#include "adaspan/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

constexpr int64_t kChunk = 1 << 14;

/// y[i] = f(i), of f32
template <class F>
void set_each(Tensor& y, const F& f) {
  float* const value = y.data();
  parallel_chunks(y.elements(), kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) value[i] = f(i);
  });
}

template <class F>
Tensor each_element(const Shape& shape, const F& f) {
  Tensor y(shape);
  set_each(y, f);
  return y;
}

/// y = a + b; y may be a or b
void set_sum(Tensor& y, const Tensor& a, const Tensor& b) {
  with_type(y.type(), [&]<class T>(T) {
    const RowKernels<T>& kernels = row_kernels<T>();
    parallel_chunks(y.elements(), kChunk, [&](int64_t begin, int64_t end) {
      kernels.add(y.data<T>() + begin, a.data<T>() + begin, b.data<T>() + begin, end - begin);
    });
  });
}

/// y = x
void copy(Tensor& y, const Tensor& x) {
  with_type(y.type(), [&]<class T>(T) {
    parallel_chunks(y.elements(), kChunk, [&](int64_t begin, int64_t end) {
      std::copy(x.data<T>() + begin, x.data<T>() + end, y.data<T>() + begin);
    });
  });
}

}  // namespace

Variable add(Tape& tape, const Variable& a, const Variable& b) {
  require(a.shape() == b.shape() && a.type() == b.type(),
          "[add] expected two values of one shape and type; got {} {} and {} {}", name(a.type()),
          a.shape().text(), name(b.type()), b.shape().text());
  const Timed timed("add", a.value().elements(), 3.0 * a.value().bytes());
  Tensor y(a.shape(), a.type());
  set_sum(y, a.value(), b.value());
  // saved: nothing
  return tape.record("add", {a, b}, std::move(y), [da = a.grad(), db = b.grad()](Tensor dy) {
    if (da.wanted() && db.wanted()) {
      const Timed backward_timed("add backward", dy.elements(), 2.0 * dy.bytes());
      da.add_by([&](Tensor& sum, bool accumulate) {
        accumulate ? set_sum(sum, sum, dy) : copy(sum, dy);
      });
    }
    (db.wanted() ? db : da).add(std::move(dy));
  });
}

Variable scale(Tape& tape, const Variable& x, float factor) {
  require_f32("scale", x);
  const float* value = x.value().data();
  Tensor y = each_element(x.shape(), [&](int64_t i) { return factor * value[i]; });
  // saved: nothing
  return tape.record("scale", {x}, std::move(y), [dx = x.grad(), factor](Tensor dy) {
    float* const d = dy.data();
    set_each(dy, [&](int64_t i) { return factor * d[i]; });
    dx.add(std::move(dy));
  });
}

Variable sigmoid(Tape& tape, const Variable& x) {
  require_f32("sigmoid", x);
  const float* value = x.value().data();
  const Value y =
      share(each_element(x.shape(), [&](int64_t i) { return 1 / (1 + std::exp(-value[i])); }));
  // saved: y
  return tape.record("sigmoid", {x}, y, [dx = x.grad(), y](Tensor dy) {
    // dy/dx = y (1 - y)
    float* const d = dy.data();
    const float* const s = y->data();
    set_each(dy, [&](int64_t i) { return d[i] * s[i] * (1 - s[i]); });
    dx.add(std::move(dy));
  });
}

Variable mean(Tape& tape, const Variable& x) {
  require_f32("mean", x);
  const auto n = static_cast<double>(x.value().elements());
  const float* const value = x.value().data();
  const double sum = sum_in_order(x.value().elements(), kChunk, [&](int64_t begin, int64_t end) {
    return std::accumulate(value + begin, value + end, 0.0);
  });
  // saved: nothing
  return tape.record("mean", {x}, Tensor::filled({1}, static_cast<float>(sum / n)),
                     [dx = x.grad(), shape = x.shape(), n](const Tensor& dy) {
                       dx.add(Tensor::filled(shape, static_cast<float>(dy.item() / n)));
                     });
}

}  // namespace adaspan
