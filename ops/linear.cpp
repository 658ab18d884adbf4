// SPDX-License-Identifier: MIT
// y = f(x w^T + b)      dx = dy w      dw = dy^T x      db = sum over rows of dy
#include "ops/linear.h"

#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm.h"
#include "ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 256;

ConstMatrix as_matrix(const Tensor& t) {
  return matrix(t.data(), t.shape().rows(), t.shape()[-1]);
}
Matrix as_matrix(Tensor& t) {
  return matrix(t.data(), t.shape().rows(), t.shape()[-1]);
}

/// Column sums of dy [rows, n]: partial sums of fixed chunks of rows, added in their order.
Tensor sum_rows(const Tensor& dy) {
  const int64_t rows = dy.shape().rows(), n = dy.shape()[-1];
  const RowKernels<float>& kernels = row_kernels();
  Tensor partial = Tensor::zeros({(rows + kRowsPerChunk - 1) / kRowsPerChunk, n});
  parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
    float* sum = partial.data() + begin / kRowsPerChunk * n;
    for (int64_t r = begin; r < end; ++r) kernels.add_scaled(sum, 1, dy.data() + r * n, n);
  });
  Tensor sum = Tensor::zeros({n});
  for (int64_t i = 0; i < partial.shape()[0]; ++i) {
    kernels.add_scaled(sum.data(), 1, partial.data() + i * n, n);
  }
  return sum;
}

/// dy where y > 0, else 0, in place
void relu_backward(Tensor& dy, const Tensor& y) {
  const int64_t n = dy.shape()[-1];
  parallel_chunks(dy.shape().rows(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    Tensor sums = Tensor::zeros({n});
    for (int64_t r = begin; r < end; ++r) {
      row_kernels().relu_backward(dy.data() + r * n, y.data() + r * n, 1, sums.data(), n);
    }
  });
}

}  // namespace

Variable linear(Tape& tape, const Variable& x, const Variable& w, const Variable& b,
                Activation activation) {
  require(w.shape().rank() == 2 && x.shape().rank() >= 1 && x.shape()[-1] == w.shape()[1],
          "[linear] expected x [..., in] and w [out, in]; got {} and {}", x.shape().text(),
          w.shape().text());
  const int64_t out = w.shape()[0];
  require(!b || b.shape() == Shape{out}, "[linear] expected a bias of shape [{}]; got {}", out,
          b ? b.shape().text() : "none");

  Tensor result(x.shape().with_last(out));
  gemm(as_matrix(result), as_matrix(x.value()), as_matrix(w.value()).transposed(),
       {.bias = b ? b.value().data() : nullptr, .relu = activation == Activation::relu});
  const Value y = share(std::move(result));

  // saved: x for dw, w for dx; y only to know where relu let through
  const Value saved_y = activation == Activation::relu ? y : nullptr;
  return tape.record("linear", {x, w, b}, y,
                     [dx = x.grad(), dw = w.grad(), db = b ? b.grad() : GradientRef(),
                      x = x.shared_value(), w = w.shared_value(), saved_y](Tensor after) {
                       if (saved_y) relu_backward(after, *saved_y);
                       const Tensor& dy = after;
                       if (db.wanted()) db.add(sum_rows(dy));
                       if (dw.wanted()) {
                         Tensor d(w->shape());
                         gemm_long_sums(as_matrix(d), as_matrix(dy).transposed(), as_matrix(*x));
                         dw.add(std::move(d));
                       }
                       if (dx.wanted()) {
                         Tensor d(x->shape());
                         gemm(as_matrix(d), as_matrix(dy), as_matrix(*w));
                         dx.add(std::move(d));
                       }
                     });
}

// y = x w      dx = dy w^T      dw = x^T dy
Variable matmul(Tape& tape, const Variable& x, const Variable& w) {
  require(w.shape().rank() == 2 && x.shape().rank() >= 1 && x.shape()[-1] == w.shape()[0],
          "[matmul] expected x [..., in] and w [in, out]; got {} and {}", x.shape().text(),
          w.shape().text());
  Tensor y(x.shape().with_last(w.shape()[1]));
  gemm(as_matrix(y), as_matrix(x.value()), as_matrix(w.value()));

  // saved: x for dw, w for dx
  return tape.record(
      "matmul", {x, w}, std::move(y),
      [dx = x.grad(), dw = w.grad(), x = x.shared_value(), w = w.shared_value()](const Tensor& dy) {
        if (dw.wanted()) {
          Tensor d(w->shape());
          gemm_long_sums(as_matrix(d), as_matrix(*x).transposed(), as_matrix(dy));
          dw.add(std::move(d));
        }
        if (dx.wanted()) {
          Tensor d(x->shape());
          gemm(as_matrix(d), as_matrix(dy), as_matrix(*w).transposed());
          dx.add(std::move(d));
        }
      });
}

}  // namespace adaspan
