// SPDX-License-Identifier: MIT
#include "adaspan/ops/elementwise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "adaspan/core/error.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

/// f of each element of the first input.
Definition each(const std::function<double(double)>& f) {
  return [f](const Arrays& x) {
    Array y(x[0].shape());
    for (int64_t i = 0; i < y.elements(); ++i) y[i] = f(x[0][i]);
    return y;
  };
}

Array sum(const Arrays& x) {
  Array y(x[0].shape());
  for (int64_t i = 0; i < y.elements(); ++i) y[i] = x[0][i] + x[1][i];
  return y;
}

// Longer than the chunks in which elements are worked on.
const Shape kLong{70'001};

}  // namespace

TEST_CASE("add is the sum of its inputs") {
  const auto op = [](Tape& tape, const Variables& x) { return add(tape, x[0], x[1]); };
  check_op(op, sum, {random_tensor({3, 5, 2}, 1), random_tensor({3, 5, 2}, 2)});
  check_op(op, sum, {random_tensor(kLong, 1), random_tensor(kLong, 2)});
}

TEST_CASE("add at each instruction level, and of bf16") {
  const auto op = [](Tape& tape, const Variables& x) { return add(tape, x[0], x[1]); };
  at_each_level([&] { check_op(op, sum, {random_tensor({75}, 1), random_tensor({75}, 2)}); });
  for (const Shape& shape : {Shape{3, 5, 2}, kLong}) {
    std::vector<Tensor> inputs;
    inputs.push_back(to_half(random_tensor(shape, 1)));
    inputs.push_back(to_half(random_tensor(shape, 2)));
    check_bf16(op, inputs);
  }
}

TEST_CASE("the gradient of add is added to what an input has, in bf16, too") {
  for (DType type : {DType::f32, DType::bf16}) {
    const auto leaf = [&](float value) {
      return Variable(share(Tensor::filled({70'001}, value).converted(type)),
                      std::make_shared<Gradient>(Shape{70'001}, "x", type));
    };
    const Variable a = leaf(1), b = leaf(2);
    Tape tape;
    add(tape, a, b);
    add(tape, a, a);
    for (const auto& entry : tape.entries()) {
      entry.backward(Tensor::filled({70'001}, 0.5f).converted(type));
    }
    const auto all = [](const Variable& x, float value) {
      const Tensor found = x.shared_gradient()->sum().converted(DType::f32);
      return std::ranges::all_of(found.values(), [&](float d) { return d == value; });
    };
    CHECK(all(a, 1.5f));
    CHECK(all(b, 0.5f));
  }
}

TEST_CASE("add of a value and itself is twice the value, and so is the gradient") {
  check_op([](Tape& tape, const Variables& x) { return add(tape, x[0], x[0]); },
           each([](double x) { return 2 * x; }), {random_tensor({3, 5}, 1)});
}

TEST_CASE("scale multiplies by its factor") {
  const auto op = [](Tape& tape, const Variables& x) { return scale(tape, x[0], -1.7f); };
  const Definition definition = each([](double x) { return double{-1.7f} * x; });
  check_op(op, definition, {random_tensor({3, 5, 2}, 1)});
  check_op(op, definition, {random_tensor(kLong, 1)});
}

TEST_CASE("sigmoid is 1 / (1 + e^-x)") {
  const auto op = [](Tape& tape, const Variables& x) { return sigmoid(tape, x[0]); };
  const Definition definition = each([](double x) { return 1 / (1 + std::exp(-x)); });
  check_op(op, definition, {random_tensor({3, 5, 2}, 1, -6, 6)});
  check_op(op, definition, {random_tensor(kLong, 1, -6, 6)});
}

TEST_CASE("sigmoid of very large and very small numbers is 1 and 0, with zero gradients") {
  Parameter x("x", Tensor::of({3}, std::vector<float>{-1e4f, 1e4f, 0}));
  Tape tape;
  const Variable y = sigmoid(tape, x.variable());
  CHECK(y.value().data()[0] == 0);
  CHECK(y.value().data()[1] == 1);
  CHECK(y.value().data()[2] == 0.5f);
  tape.backward(mean(tape, y));
  CHECK(x.grad().data()[0] == 0);
  CHECK(x.grad().data()[1] == 0);
  CHECK(x.grad().data()[2] == doctest::Approx(0.25 / 3));
}

TEST_CASE("mean is the sum of all elements by their number") {
  const auto op = [](Tape& tape, const Variables& x) { return mean(tape, x[0]); };
  const auto definition = [](const Arrays& x) {
    Array y({1});
    for (int64_t i = 0; i < x[0].elements(); ++i) y[0] += x[0][i];
    y[0] /= static_cast<double>(x[0].elements());
    return y;
  };
  check_op(op, definition, {random_tensor({3, 5, 2}, 1)});
  check_op(op, definition, {random_tensor(kLong, 1, 0, 3)});
}

TEST_CASE("mean of many alike numbers does not lose the small ones") {
  Tape tape;
  const Variable y = mean(tape, Variable::constant(Tensor::filled({1 << 22}, 0.1f)));
  CHECK(y.value().item() == 0.1f);
  CHECK(y.shape() == Shape{1});
}

TEST_CASE("add of two shapes or types throws") {
  Tape tape;
  const Variable a = Variable::constant(Tensor::zeros({2, 3}));
  const Variable b = Variable::constant(Tensor::zeros({3, 2}));
  CHECK_THROWS_WITH_AS(
      add(tape, a, b),
      "[add] expected two values of one shape and type; got f32 [2, 3] and f32 [3, 2]", Error);
  const Variable half = Variable::constant(Tensor::zeros({2, 3}, DType::bf16));
  CHECK_THROWS_WITH_AS(
      add(tape, a, half),
      "[add] expected two values of one shape and type; got f32 [2, 3] and bf16 [2, 3]", Error);
}

TEST_CASE("scale, sigmoid and mean of another type than f32 throw") {
  Tape tape;
  const Variable half = Variable::constant(Tensor::zeros({2, 3}, DType::bf16));
  CHECK_THROWS_WITH_AS(scale(tape, half, 2),
                       "[scale] expected a value of type f32; got bf16 [2, 3]", Error);
  CHECK_THROWS_WITH_AS(sigmoid(tape, half),
                       "[sigmoid] expected a value of type f32; got bf16 [2, 3]", Error);
  CHECK_THROWS_WITH_AS(mean(tape, half), "[mean] expected a value of type f32; got bf16 [2, 3]",
                       Error);
}

}  // namespace adaspan
