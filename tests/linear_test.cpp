// SPDX-License-Identifier: MIT
#include "ops/linear.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

/// x w^T (+ b), for x of any rank.
Array product(const Array& x, const Array& w, const Array* b) {
  const int64_t out = w.shape()[0], in = w.shape()[1];
  Array y(x.shape().with_last(out));
  for (int64_t r = 0; r < x.shape().rows(); ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = b ? (*b)(o) : 0;
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * w(o, i);
      y[r * out + o] = sum;
    }
  }
  return y;
}

Array relu_of(Array y) {
  for (int64_t i = 0; i < y.elements(); ++i) y[i] = off_kink(y[i], 0) > 0 ? y[i] : 0 * y[i];
  return y;
}

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("linear without a bias is x w^T") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1]); },
           [](const Arrays& x) { return product(x[0], x[1], nullptr); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2)});
}

TEST_CASE("linear with a bias is x w^T + b") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], x[2]); },
           [](const Arrays& x) { return product(x[0], x[1], &x[2]); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2), random_tensor({4}, 3)});
}

TEST_CASE("linear with relu lets through what is above zero, with and without a bias") {
  check_op([](Tape& tape,
              const Variables& x) { return linear(tape, x[0], x[1], x[2], Activation::relu); },
           [](const Arrays& x) { return relu_of(product(x[0], x[1], &x[2])); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2), random_tensor({4}, 3)});
  check_op(
      [](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], {}, Activation::relu); },
      [](const Arrays& x) { return relu_of(product(x[0], x[1], nullptr)); },
      {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2)});
}

TEST_CASE("linear of thousands of rows, whose sums are taken in chunks") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], x[2]); },
           [](const Arrays& x) { return product(x[0], x[1], &x[2]); },
           {random_tensor({1003, 3, 9}, 1), random_tensor({8, 9}, 2), random_tensor({8}, 3)},
           {.samples = 20});
}

TEST_CASE("the bias gradient of very many rows does not drown in its rounding") {
  constexpr int64_t kRows = 100'000;
  Parameter b("b", Tensor::zeros({3}));
  Tape tape;
  linear(tape, zeros({kRows, 1}), zeros({3, 1}), b.variable());
  tape.entries()[0].backward(Tensor::filled({kRows, 3}, 0.1f));
  for (float d : b.grad().values()) CHECK(d == doctest::Approx(0.1 * kRows).epsilon(1e-5));
}

TEST_CASE("matmul is x w") {
  const auto definition = [](const Arrays& x) {
    const int64_t in = x[1].shape()[0], out = x[1].shape()[1];
    Array y(x[0].shape().with_last(out));
    for (int64_t r = 0; r < x[0].shape().rows(); ++r) {
      for (int64_t o = 0; o < out; ++o) {
        for (int64_t i = 0; i < in; ++i) y[r * out + o] += x[0][r * in + i] * x[1](i, o);
      }
    }
    return y;
  };
  const auto op = [](Tape& tape, const Variables& x) { return matmul(tape, x[0], x[1]); };
  check_op(op, definition, {random_tensor({5, 3, 7}, 1), random_tensor({7, 4}, 2)});
  check_op(op, definition, {random_tensor({7}, 1), random_tensor({7, 1}, 2)});
  check_op(op, definition, {random_tensor({2001, 2, 7}, 1), random_tensor({7, 9}, 2)},
           {.samples = 20});
}

TEST_CASE("linear and matmul of no rows have zero weight gradients") {
  Parameter w("w", random_tensor({4, 4}, 1)), b("b", random_tensor({4}, 2));
  Tape tape;
  linear(tape, zeros({0, 3, 4}), w.variable(), b.variable());
  const Variable y = matmul(tape, zeros({0, 3, 4}), w.variable());
  CHECK(y.shape() == Shape{0, 3, 4});
  for (const Tape::Entry& entry : tape.entries()) entry.backward(Tensor::zeros({0, 3, 4}));
  for (float d : w.grad().values()) CHECK(d == 0);
  for (float d : b.grad().values()) CHECK(d == 0);
}

TEST_CASE("linear of shapes that do not fit throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({4, 5})),
                       "[linear] expected x [..., in] and w [out, in]; got [2, 3] and [4, 5]",
                       Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({3})),
                       "[linear] expected x [..., in] and w [out, in]; got [2, 3] and [3]", Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({}), zeros({4, 1})),
                       "[linear] expected x [..., in] and w [out, in]; got [] and [4, 1]", Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({4, 3}), zeros({3})),
                       "[linear] expected a bias of shape [4]; got [3]", Error);
}

TEST_CASE("matmul of shapes that do not fit throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({2, 3}), zeros({5, 3})),
                       "[matmul] expected x [..., in] and w [in, out]; got [2, 3] and [5, 3]",
                       Error);
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({2, 3}), zeros({3, 1, 1})),
                       "[matmul] expected x [..., in] and w [in, out]; got [2, 3] and [3, 1, 1]",
                       Error);
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({}), zeros({1, 2})),
                       "[matmul] expected x [..., in] and w [in, out]; got [] and [1, 2]", Error);
}

}  // namespace adaspan
