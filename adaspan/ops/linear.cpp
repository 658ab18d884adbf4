// SPDX-License-Identifier: MIT
// y = f(x w^T + b + r)      dx = dy w      dw = dy^T x      db = sum over rows of dy      dr = dy
// where dy is the gradient before f: f is undone in place, and each piece of dy goes into both
// products and the sum while it is in cache. Forward first, backward right under it.
#include "adaspan/ops/linear.h"

#include <algorithm>
#include <optional>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/gemm.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

/// The weights as one matrix: the one there is, or a copy of all of them, stacked.
Value stacked(const std::vector<Value>& weights) {
  if (weights.size() == 1) return weights[0];
  int64_t out = 0;
  for (const Value& w : weights) out += w->shape()[0];
  Tensor all({out, weights[0]->shape()[1]});
  const Timed timed("stacked weights", 0, 2.0 * static_cast<double>(all.bytes()));
  float* to = all.data();
  for (const Value& w : weights) to = std::copy_n(w->data(), w->elements(), to);
  return share(std::move(all));
}

/// y = dropout(max(0, y)) in rows begin .. end-1 of y [M,B,n].
void relu_dropout(Tensor& y, const Dropout& mask, int64_t begin, int64_t end) {
  const int64_t B = y.shape()[1], n = y.shape()[2];
  with_type(y.type(), [&]<class T>(T) {
    for (int64_t r = begin; r < end; ++r) {
      const auto first = static_cast<uint64_t>(mask.global_row(r, B) * n);
      row_kernels<T>().relu_dropout(y.data<T>() + r * n, mask.rate, mask.key, first, n);
    }
  });
}

struct LinearBackward {
  GradientRef dx, db, dr;
  std::vector<GradientRef> dw = {};
  // saved: x for dw, w for dx; y only to know what relu and dropout let through
  Value x, y = {};
  std::vector<Value> w = {};
  float scale;  // of what dropout lets through

  void operator()(Tensor dy) const;

 private:
  /// dx and the parts of dw and db; leaves dy as it is before the activation.
  void products(Tensor& dy, Tensor* dx_sum, bool accumulate) const;
};

void check_linear(const Variable& x, const std::vector<Variable>& weights, const Variable& b,
                  const Shape& y, DType type, const LinearOptions& options) {
  const int64_t out = y[-1];
  require(!b || b.shape() == Shape{out}, "[linear] expected a bias of shape [{}]; got {}", out,
          b ? b.shape().text() : "none");
  for (const Variable& w : weights) {
    require(w.type() == DType::f32 && (!b || b.type() == DType::f32),
            "[linear] expected weights and bias of type f32; got {} and {}", name(w.type()),
            b ? name(b.type()) : "none");
  }
  require(type != DType::i32 && (type == x.type() || x.type() == DType::bf16),
          "[linear] expected x and y of one type, or x bf16 and y f32; got {} and {}",
          name(x.type()), name(type));
  const Variable& r = options.residual;
  require(!r || (r.shape() == y && r.type() == type),
          "[linear] expected a residual {} of type {}; got {} of type {}", y.text(), name(type),
          r ? r.shape().text() : "none", r ? name(r.type()) : "none");
  const Dropout& mask = options.dropout;
  if (mask.rate == 0) return;
  require(options.activation == Activation::relu,
          "[linear] expected dropout after relu; got it without; use op dropout");
  require(y.rank() == 3, "[linear] expected y [M,B,n] for dropout; got {}", y.text());
  check_dropout("linear", mask, y[1]);
}

}  // namespace

Variable linear(Tape& tape, const Variable& x, const std::vector<Variable>& weights,
                const Variable& b, const LinearOptions& options) {
  require(!weights.empty(), "[linear] expected at least one weight; got none");
  int64_t out = 0;
  for (const Variable& w : weights) {
    require(w.shape().rank() == 2 && x.shape().rank() >= 1 && x.shape()[-1] == w.shape()[1],
            "[linear] expected x [..., in] and w [out, in]; got {} and {}", x.shape().text(),
            w.shape().text());
    out += w.shape()[0];
  }
  require(x.shape()[-1] > 0, "[linear] expected x [..., in] with in of at least 1; got {}",
          x.shape().text());
  const Shape shape = x.shape().with_last(out);
  const DType type = options.type.value_or(x.type());
  check_linear(x, weights, b, shape, type, options);

  LinearBackward backward{.dx = x.grad(),
                          .db = b ? b.grad() : GradientRef(),
                          .dr = options.residual ? options.residual.grad() : GradientRef(),
                          .x = x.shared_value(),
                          .scale = 1 / (1 - options.dropout.rate)};
  std::vector<Variable> inputs{x, b, options.residual};
  for (const Variable& w : weights) {
    backward.dw.push_back(w.grad());
    backward.w.push_back(w.shared_value());
    inputs.push_back(w);
  }

  const bool relu = options.activation == Activation::relu, drops = options.dropout.rate > 0;
  Tensor result(shape, type);
  const Value w = stacked(backward.w);
  const auto size = [](const Tensor& t) { return static_cast<double>(t.bytes()); };
  const Timed timed("forward product", 2.0 * shape.rows() * out * x.shape()[-1],
                    size(x.value()) + size(*w) + size(result) * (options.residual ? 2 : 1));
  ProductOptions how{.bias = b ? b.value().data() : nullptr, .relu = relu && !drops};
  if (options.residual) how.residual = matrix(options.residual.value());
  PieceDone after;
  if (drops) {
    after = [&](int64_t begin, int64_t end) { relu_dropout(result, options.dropout, begin, end); };
  }
  gemm(matrix(result), matrix(x.value()), matrix(*w).transposed(), how, after);
  const Value y = share(std::move(result));
  if (relu) backward.y = y;
  return tape.record("linear", std::move(inputs), y, std::move(backward));
}

// Backward of y = dropout(f(x w^T + b + r)): with dy the gradient before f,
//   dx = dy w      dw = dy^T x      db = sum over rows of dy      dr = dy
namespace {

/// dy = dy scale where y > 0, else 0, if there is a y; sums += dy; in rows begin .. end-1.
void undo_activation(Tensor& dy, const Tensor* y, float scale, float* sums, int64_t begin,
                     int64_t end) {
  const int64_t n = dy.shape()[-1];
  with_type(dy.type(), [&]<class T>(T) {
    for (int64_t r = begin; r < end; ++r) {
      T* row = dy.data<T>() + r * n;
      if (y) {
        row_kernels<T>().relu_backward(row, y->data<T>() + r * n, scale, sums, n);
      } else {
        row_kernels<T>().add_to_sums(sums, row, n);
      }
    }
  });
}

void LinearBackward::operator()(Tensor dy) const {
  if (dx.wanted()) {
    dx.add_by([&](Tensor& sum, bool accumulate) { products(dy, &sum, accumulate); });
  } else {
    products(dy, nullptr, false);
  }
  if (dr.wanted()) dr.add(std::move(dy));
}

void LinearBackward::products(Tensor& dy, Tensor* dx_sum, bool accumulate) const {
  const int64_t rows = dy.shape().rows(), in = x->shape()[-1], out = dy.shape()[-1];
  const int64_t step = RowSums::rows_per_piece(rows), pieces = chunk_count(rows, step);
  const bool dw_wanted = std::ranges::any_of(dw, &GradientRef::wanted);
  Tensor rounded;  // dy of x's type, if it is of another
  if (dy.type() != x->type()) rounded = Tensor(dy.shape(), x->type());
  const ConstMatrix dy_matrix = matrix(std::as_const(rounded.empty() ? dy : rounded));

  const Value all = stacked(w);

  const auto size = [](const Tensor& t) { return static_cast<double>(t.bytes()); };
  const double data_bytes = dx_sum ? size(*all) + size(*dx_sum) * (accumulate ? 2 : 1) : 0;
  const double weight_bytes = dw_wanted ? size(*all) + size(*x) : 0;
  const Timed timed("backward products",
                    2.0 * (dx_sum != nullptr) * rows * in * out + 2.0 * dw_wanted * rows * in * out,
                    data_bytes + weight_bytes + (y ? 2 * size(dy) + size(*y) : size(dy)));

  std::optional<Product> data;
  std::optional<RowSums> weight;
  if (dx_sum) {
    data.emplace(x->type(), x->type(), matrix(*all), rows,
                 ProductOptions{.accumulate = accumulate});
  }
  if (dw_wanted) weight.emplace(out, in, pieces);
  Tensor column_sums = Tensor::zeros({pieces, out});
  parallel_parts(rows, step, [&](int64_t piece, int64_t begin, int64_t end) {
    if (y || db.wanted()) {
      undo_activation(dy, y.get(), scale, column_sums.data() + piece * out, begin, end);
    }
    if (!rounded.empty()) {
      row_kernels<bf16>().narrow(rounded.data<bf16>() + begin * out, dy.data() + begin * out,
                                 (end - begin) * out);
    }
    const ConstMatrix d = dy_matrix.rows_of(begin, end);
    if (data) data->run(matrix(*dx_sum).rows_of(begin, end), d);
    if (weight) weight->run(piece, d, matrix(*x).rows_of(begin, end));
  });

  int64_t row = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    if (dw[i].wanted()) {
      dw[i].add_by([&](Tensor& sum, bool add) { weight->finish(row, matrix(sum), add); });
    }
    row += w[i]->shape()[0];
  }
  if (!db.wanted()) return;
  Tensor sum = Tensor::zeros({out});
  add_in_order(pieces, out, out, [&](int64_t piece, int64_t, int64_t) {
    row_kernels().add_to_sums(sum.data(), column_sums.data() + piece * out, out);
  });
  db.add(std::move(sum));
}

}  // namespace

Variable linear(Tape& tape, const Variable& x, const Variable& w, const Variable& b,
                const LinearOptions& options) {
  return linear(tape, x, std::vector<Variable>{w}, b, options);
}

// y = x w      dx = dy w^T      dw = x^T dy
Variable matmul(Tape& tape, const Variable& x, const Variable& w) {
  require(w.shape().rank() == 2 && x.shape().rank() >= 1 && x.shape()[-1] == w.shape()[0],
          "[matmul] expected x [..., in] and w [in, out]; got {} and {}", x.shape().text(),
          w.shape().text());
  require_f32("matmul", w);
  Tensor y(x.shape().with_last(w.shape()[1]), x.type());
  gemm(matrix(y), matrix(x.value()), matrix(w.value()));

  // saved: x for dw, w for dx
  return tape.record(
      "matmul", {x, w}, std::move(y),
      [dx = x.grad(), dw = w.grad(), x = x.shared_value(), w = w.shared_value()](const Tensor& dy) {
        if (dw.wanted()) {
          dw.add_by([&](Tensor& sum, bool accumulate) {
            gemm_long_sums(matrix(sum), matrix(*x), matrix(dy), accumulate);
          });
        }
        if (dx.wanted()) {
          dx.add_by([&](Tensor& sum, bool accumulate) {
            gemm(matrix(sum), matrix(dy), matrix(*w).transposed(), {.accumulate = accumulate});
          });
        }
      });
}

}  // namespace adaspan
