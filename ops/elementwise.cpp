// SPDX-License-Identifier: MIT
#include "ops/elementwise.h"

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

constexpr int64_t kChunk = 1 << 14;

/// y[i] = f(i)
template <class F>
Tensor each_element(const Shape& shape, const F& f) {
  Tensor y(shape);
  parallel_chunks(y.elements(), kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y.data()[i] = f(i);
  });
  return y;
}

}  // namespace

Variable add(Tape& tape, const Variable& a, const Variable& b) {
  require(a.shape() == b.shape(), "[add] expected two values of one shape; got {} and {}",
          a.shape().text(), b.shape().text());
  Tensor y(a.shape());
  parallel_chunks(y.elements(), kChunk, [&](int64_t begin, int64_t end) {
    row_kernels().add(y.data() + begin, a.value().data() + begin, b.value().data() + begin,
                      end - begin);
  });
  // saved: nothing
  return tape.record("add", {a, b}, std::move(y), [da = a.grad(), db = b.grad()](Tensor dy) {
    if (da.wanted() && db.wanted()) da.add(dy.clone());
    (db.wanted() ? db : da).add(std::move(dy));
  });
}

Variable scale(Tape& tape, const Variable& x, float factor) {
  const float* value = x.value().data();
  Tensor y = each_element(x.shape(), [&](int64_t i) { return factor * value[i]; });
  // saved: nothing
  return tape.record("scale", {x}, std::move(y), [dx = x.grad(), factor](const Tensor& dy) {
    dx.add(each_element(dy.shape(), [&](int64_t i) { return factor * dy.data()[i]; }));
  });
}

Variable sigmoid(Tape& tape, const Variable& x) {
  const float* value = x.value().data();
  const Value y =
      share(each_element(x.shape(), [&](int64_t i) { return 1 / (1 + std::exp(-value[i])); }));
  // saved: y
  return tape.record("sigmoid", {x}, y, [dx = x.grad(), y](const Tensor& dy) {
    // dy/dx = y (1 - y)
    dx.add(each_element(
        dy.shape(), [&](int64_t i) { return dy.data()[i] * y->data()[i] * (1 - y->data()[i]); }));
  });
}

Variable mean(Tape& tape, const Variable& x) {
  const auto n = static_cast<double>(x.value().elements());
  double sum = 0;
  for (float value : x.value().values()) sum += value;
  // saved: nothing
  return tape.record("mean", {x}, Tensor::filled({1}, static_cast<float>(sum / n)),
                     [dx = x.grad(), shape = x.shape(), n](const Tensor& dy) {
                       dx.add(Tensor::filled(shape, static_cast<float>(dy.item() / n)));
                     });
}

}  // namespace adaspan
