// SPDX-License-Identifier: MIT
#include "adaspan/ops/softmax.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/ops/elementwise.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

/// m e^x / sum(m e^x); x[1], if there, is the mask: like x[0], or one row for all.
Array masked_softmax(const Arrays& x) {
  const int64_t E = x[0].shape()[-1];
  Array y(x[0].shape());
  for (int64_t r = 0; r < y.shape().rows(); ++r) {
    double sum = 0;
    for (int64_t j = r * E; j < (r + 1) * E; ++j) {
      const double m = x.size() < 2 ? 1 : x[1][x[1].shape() == Shape{1, E} ? j % E : j];
      y[j] = m * std::exp(x[0][j]);
      sum += y[j];
    }
    for (int64_t j = r * E; j < (r + 1) * E; ++j) y[j] /= sum;
  }
  return y;
}

Variable plain(Tape& tape, const Variables& x) {
  return softmax(tape, x[0]);
}
Variable masked(Tape& tape, const Variables& x) {
  return softmax(tape, x[0], x[1]);
}

/// Numbers in [0, 1], of which a third is 0 and a third is 1, and none is 0 in the last column.
Tensor random_mask(Shape shape, uint64_t seed) {
  const int64_t E = shape[-1];
  Tensor mask = random_tensor(std::move(shape), seed, -1, 2);
  for (int64_t i = 0; i < mask.elements(); ++i) {
    mask.data()[i] = std::clamp(mask.data()[i], i % E == E - 1 ? 0.1f : 0.0f, 1.0f);
  }
  return mask;
}

Variable constant(Shape shape, const std::vector<float>& values) {
  return Variable::constant(Tensor::of(std::move(shape), values));
}

}  // namespace

TEST_CASE("softmax without a mask is e^x by the sum over the last axis") {
  check_op(plain, masked_softmax, {random_tensor({3, 2, 7}, 1, -3, 3)});
  check_op(plain, masked_softmax, {random_tensor({9}, 1, -3, 3)});
  check_op(plain, masked_softmax, {random_tensor({4, 1}, 1, -3, 3)});
}

TEST_CASE("softmax with a mask for each row, which has gradients also where it is zero") {
  check_op(masked, masked_softmax, {random_tensor({3, 2, 7}, 1, -3, 3), random_mask({3, 2, 7}, 2)});
  check_op(masked, masked_softmax, {random_tensor({1, 9}, 1, -3, 3), random_mask({1, 9}, 2)});
}

TEST_CASE("softmax with one mask for all rows, whose gradient sums over them") {
  check_op(masked, masked_softmax, {random_tensor({3, 2, 7}, 1, -3, 3), random_mask({1, 7}, 2)});
}

TEST_CASE("softmax of more rows than one chunk has") {
  check_op(plain, masked_softmax, {random_tensor({101, 2, 5}, 1, -3, 3)});
  check_op(masked, masked_softmax,
           {random_tensor({101, 2, 5}, 1, -3, 3), random_mask({101, 2, 5}, 2)});
  check_op(masked, masked_softmax, {random_tensor({101, 2, 5}, 1, -3, 3), random_mask({1, 5}, 2)});
}

TEST_CASE("a mask of ones changes nothing") {
  const Variable x = Variable::constant(random_tensor({5, 33}, 1, -3, 3));
  Tape tape(Tape::Mode::evaluation);
  const Variable ones = Variable::constant(Tensor::filled({1, 33}, 1));
  const Array without(softmax(tape, x).value());
  CHECK(relative_distance(softmax(tape, x, ones).value(), without) < 1e-6);
}

TEST_CASE("scores of 1e4 behind the mask have no say") {
  Parameter x("x", Tensor::of({1, 4}, std::vector<float>{1e4f, 0, std::log(3.0f), -1e4f}));
  Tape tape;
  const Variable y = softmax(tape, x.variable(), constant({1, 4}, {0, 1, 1, 1}));
  CHECK(y.value().data()[0] == 0);
  CHECK(y.value().data()[1] == doctest::Approx(0.25));
  CHECK(y.value().data()[2] == doctest::Approx(0.75));
  CHECK(y.value().data()[3] < 1e-37);
  tape.entries()[0].backward(Tensor::of({1, 4}, std::vector<float>{9, 1, 0, 9}));
  CHECK(x.grad().data()[0] == 0);
  CHECK(x.grad().data()[1] == doctest::Approx(0.25 * 0.75));
  CHECK(x.grad().data()[2] == doctest::Approx(-0.25 * 0.75));
}

TEST_CASE("a row without anything above zero in its mask gives zeros, and zero gradients") {
  Parameter x("x", random_tensor({2, 3}, 1)), mask("mask", Tensor::zeros({2, 3}));
  std::fill_n(mask.value().data() + 3, 3, 0.5f);
  Tape tape;
  const Variable y = softmax(tape, x.variable(), mask.variable());
  tape.entries()[0].backward(random_tensor({2, 3}, 2));
  for (int64_t j = 0; j < 3; ++j) {
    CHECK(y.value().data()[j] == 0);
    CHECK(y.value().data()[3 + j] > 0);
    CHECK(x.grad().data()[j] == 0);
    CHECK(mask.grad().data()[j] == 0);
  }
}

TEST_CASE("a NaN comes out of its row and of no other") {
  Tensor scores = random_tensor({3, 5}, 1);
  scores.data()[5 + 2] = std::numeric_limits<float>::quiet_NaN();
  Parameter x("x", std::move(scores));
  Tape tape;
  const Variable y = softmax(tape, x.variable());
  CHECK(std::isnan(y.value().data()[5 + 2]));
  tape.entries()[0].backward(Tensor::filled({3, 5}, 1));
  for (int64_t j = 0; j < 5; ++j) {
    CHECK(std::isnan(x.grad().data()[5 + j]));
    CHECK(std::isfinite(y.value().data()[j]));
    CHECK(std::isfinite(x.grad().data()[10 + j]));
  }
}

TEST_CASE("a mask of another shape throws") {
  Tape tape;
  const Variable x = Variable::constant(Tensor::zeros({2, 3, 4}));
  for (const Shape& shape : {Shape{4}, Shape{1, 3}, Shape{2, 1, 4}, Shape{6, 4}}) {
    const std::string text =
        "[softmax] expected a mask of shape [2, 3, 4] or [1, 4]; got " + shape.text();
    CHECK_THROWS_WITH_AS(softmax(tape, x, Variable::constant(Tensor::zeros(shape))), text.c_str(),
                         Error);
  }
}

TEST_CASE("scores or a mask of another type than f32 throw") {
  Tape tape;
  const Variable x = Variable::constant(Tensor::zeros({2, 3}));
  const Variable half = Variable::constant(Tensor::zeros({2, 3}, DType::bf16));
  const char* expected = "[softmax] expected a value of type f32; got bf16 [2, 3]";
  CHECK_THROWS_WITH_AS(softmax(tape, half), expected, Error);
  CHECK_THROWS_WITH_AS(softmax(tape, x, half), expected, Error);
}

}  // namespace adaspan
