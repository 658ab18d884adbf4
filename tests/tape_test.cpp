// SPDX-License-Identifier: MIT
#include "adaspan/autograd/tape.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "adaspan/autograd/recomputed.h"
#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

// Three ops as ops/ writes them, small enough to differentiate by hand.

Tensor product(const Tensor& a, const Tensor& b) {
  Tensor y(a.shape());
  for (int64_t i = 0; i < y.elements(); ++i) y.data()[i] = a.data()[i] * b.data()[i];
  return y;
}

/// y = a * b, element by element.
Variable multiply(Tape& tape, const Variable& a, const Variable& b) {
  // saved: a, b
  return tape.record(
      "multiply", {a, b}, product(a.value(), b.value()),
      [va = a.shared_value(), vb = b.shared_value(), da = a.grad(), db = b.grad()](Tensor dy) {
        if (da.wanted()) da.add(product(dy, *vb));
        if (db.wanted()) db.add(product(dy, *va));
      });
}

/// y = x + 1.
Variable increment(Tape& tape, const Variable& x) {
  Tensor y = x.value().clone();
  for (int64_t i = 0; i < y.elements(); ++i) y.data()[i] += 1;
  return tape.record("increment", {x}, std::move(y),
                     [dx = x.grad()](Tensor dy) { dx.add(std::move(dy)); });
}

/// y = the sum over all elements of x.
Variable sum(Tape& tape, const Variable& x) {
  float y = 0;
  for (float value : x.value().values()) y += value;
  return tape.record(
      "sum", {x}, Tensor::filled(Shape(), y),
      [shape = x.shape(), dx = x.grad()](Tensor dy) { dx.add(Tensor::filled(shape, dy.item())); });
}

Tensor vector_of(const std::vector<float>& values) {
  return Tensor::of(Shape{static_cast<int64_t>(values.size())}, values);
}

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

using Values = std::vector<float>;

}  // namespace

TEST_CASE("backward leaves the derivative of the loss in every parameter") {
  Parameter a("a", vector_of({1, 2, 3}));
  Parameter b("b", vector_of({4, 5, 6}));
  Tape tape;
  const Variable loss =
      sum(tape, multiply(tape, a.variable(), increment(tape, b.variable())));  // sum a * (b + 1)
  CHECK(loss.value().item() == 5 + 12 + 21);
  tape.backward(loss);
  CHECK(values_of(a.grad()) == Values{5, 6, 7});
  CHECK(values_of(b.grad()) == Values{1, 2, 3});
}

TEST_CASE("the gradients of a value that is used twice add up") {
  Parameter a("a", vector_of({1, 2, 3}));
  Tape tape;
  const Variable y = increment(tape, a.variable());
  const Variable cube = multiply(tape, multiply(tape, y, y), y);
  tape.backward(sum(tape, cube));
  CHECK(values_of(a.grad()) == Values{3 * 4, 3 * 9, 3 * 16});  // 3 (a + 1)^2
}

TEST_CASE("the gradients of two backward passes add up until they are cleared") {
  Parameter a("a", vector_of({1, 2}));
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    tape.backward(sum(tape, multiply(tape, a.variable(), a.variable())));
    CHECK(values_of(a.grad()) == Values{2.0f * pass, 4.0f * pass});
  }
  a.clear_grad();
  CHECK(a.grad().empty());
}

TEST_CASE("a tape can record again after its backward pass") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  for (int pass = 1; pass <= 3; ++pass) {
    tape.backward(sum(tape, a.variable()));
    CHECK(tape.entries().empty());
    CHECK(values_of(a.grad()) == Values(2, static_cast<float>(pass)));
  }
}

TEST_CASE("a parameter that the loss does not depend on has no gradient") {
  Parameter a("a", vector_of({1, 2}));
  Parameter b("b", vector_of({3, 4}));
  Tape tape;
  const Variable unused = multiply(tape, b.variable(), b.variable());
  tape.backward(sum(tape, a.variable()));
  CHECK(b.grad().empty());
  CHECK(a.grad().elements() == 2);
}

TEST_CASE("constants get no gradient, and ops on constants alone are not recorded") {
  Parameter a("a", vector_of({1, 2}));
  const Variable c = Variable::constant(vector_of({3, 4}));
  Tape tape;
  const Variable constant = increment(tape, c);
  CHECK_FALSE(constant.requires_grad());
  CHECK(tape.entries().empty());
  const Variable y = multiply(tape, a.variable(), constant);
  CHECK(y.requires_grad());
  REQUIRE(tape.entries().size() == 1);
  CHECK(tape.entries()[0].op == "multiply");
  CHECK(tape.entries()[0].inputs.size() == 1);
  tape.backward(sum(tape, y));
  CHECK(values_of(a.grad()) == Values{4, 5});
}

TEST_CASE("an absent input is skipped") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable y =
      tape.record("optional", {a.variable(), Variable()}, vector_of({1, 2}), [](Tensor) {});
  CHECK(y.requires_grad());
  CHECK(tape.entries()[0].inputs.size() == 1);
  CHECK_FALSE(Variable().requires_grad());
  CHECK_FALSE(Variable().grad().wanted());
}

TEST_CASE("evaluation records nothing and saves nothing") {
  Parameter a("a", vector_of({1, 2, 3}));
  Tape tape(Tape::Mode::evaluation);
  std::weak_ptr<const Tensor> intermediate;
  Variable y = increment(tape, a.variable());
  intermediate = y.shared_value();
  y = multiply(tape, y, y);
  CHECK(values_of(y.value()) == Values{4, 9, 16});
  CHECK_FALSE(y.requires_grad());
  CHECK_FALSE(tape.recording());
  CHECK(tape.entries().empty());
  CHECK(intermediate.expired());
}

TEST_CASE("saved values are released as the backward pass goes by") {
  constexpr int kOps = 8;
  Parameter a("a", Tensor::filled(Shape{1 << 16}, 1));
  Tape tape;
  std::vector<std::weak_ptr<const Tensor>> saved;
  std::vector<std::pair<int, size_t>> seen;  // at each op: saved values alive, bytes in use
  const auto alive = [&] {
    return static_cast<int>(
        std::count_if(saved.begin(), saved.end(), [](const auto& v) { return !v.expired(); }));
  };
  Variable y = a.variable();
  for (int i = 0; i < kOps; ++i) {
    saved.push_back(y.shared_value());
    // y = x, with a backward pass that looks around; saved: x, though it is not needed
    y = tape.record("look", {y}, y.value().clone(),
                    [&, dx = y.grad(), x = y.shared_value()](Tensor dy) {
                      seen.emplace_back(alive(), pool_use().in_use);
                      dx.add(std::move(dy));
                    });
  }
  Variable loss = sum(tape, y);
  y = Variable();
  CHECK(alive() == kOps);
  tape.backward(loss);

  REQUIRE(seen.size() == kOps);
  for (int i = 0; i < kOps; ++i) CHECK(seen[static_cast<size_t>(i)].first == kOps - i);
  const size_t value_bytes = a.value().bytes();
  // The first op goes last: by then the values that the other seven saved are gone.
  CHECK(seen.back().second + (kOps - 1) * value_bytes == seen.front().second);
  CHECK(alive() == 1);  // the parameter
}

TEST_CASE("gradients of intermediate values are released as the backward pass goes by") {
  Parameter a("a", Tensor::filled(Shape{1 << 16}, 1));
  Tape tape;
  Variable y = a.variable();
  for (int i = 0; i < 8; ++i) y = increment(tape, y);
  const Variable loss = sum(tape, y);
  const size_t before = pool_use().in_use;
  tape.backward(loss);
  CHECK(pool_use().in_use == before + a.value().bytes());  // y is held above; one gradient is new
  CHECK(y.shared_gradient()->sum().empty());
}

TEST_CASE("a chain of 100,000 ops goes backward without a deep stack, and can be abandoned") {
  Parameter a("a", Tensor::filled(Shape(), 1));
  for (bool abandoned : {false, true}) {
    Tape tape;
    Variable y = a.variable();
    for (int i = 0; i < 100'000; ++i) y = increment(tape, y);
    CHECK(y.value().item() == 100'001);
    if (abandoned) continue;
    tape.backward(y);
    CHECK(a.grad().item() == 1);
  }
}

TEST_CASE("entries run from last to first") {
  Parameter a("a", Tensor::filled(Shape(), 1));
  Tape tape;
  std::vector<int> order;
  Variable y = a.variable();
  for (int i = 0; i < 4; ++i) {
    y = tape.record("step", {y}, y.value().clone(), [&order, i, dx = y.grad()](Tensor dy) {
      order.push_back(i);
      dx.add(std::move(dy));
    });
  }
  tape.backward(y);
  CHECK(order == std::vector<int>{3, 2, 1, 0});
}

TEST_CASE("a second backward pass throws and changes no gradient") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable loss = sum(tape, a.variable());
  tape.backward(loss);
  CHECK_THROWS_WITH_AS(tape.backward(loss), doctest::Contains("backward once a forward"), Error);
  CHECK(values_of(a.grad()) == Values{1, 1});
}

TEST_CASE("backward from any value takes the gradient of that value") {
  Parameter a("a", vector_of({1, 2, 3}));
  Tape tape;
  const Variable square = multiply(tape, a.variable(), a.variable());
  tape.backward(square, vector_of({1, 0, -2}));
  CHECK(values_of(a.grad()) == Values{2, 0, -12});
  CHECK(tape.entries().empty());
}

TEST_CASE("backward from a value with a gradient that does not fit it throws") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable y = increment(tape, a.variable());
  CHECK_THROWS_WITH_AS(tape.backward(y, vector_of({1, 2, 3})),
                       "[increment] expected a gradient of shape [2]; got [3]", Error);
  CHECK_THROWS_WITH_AS(tape.backward(a.variable(), vector_of({1, 2})),
                       doctest::Contains("got one that is not on it"), Error);
}

TEST_CASE("what is made again in the backward pass has the same gradients and saves nothing") {
  Parameter a("a", vector_of({1, 2, 3})), b("b", vector_of({4, 5, 6}));
  Tape tape;
  int runs = 0;
  std::weak_ptr<const Tensor> inner;
  const Variable x = increment(tape, a.variable());
  const Variable y = recomputed(tape, "twice", {x}, [&runs, &inner, &b, x](Tape& now) {
    ++runs;
    const Variable product_of_both = multiply(now, x, b.variable());
    inner = product_of_both.shared_value();
    return multiply(now, product_of_both, x);  // (a + 1)^2 b
  });
  CHECK(runs == 1);
  CHECK(inner.expired());
  CHECK(values_of(y.value()) == Values{16, 45, 96});
  const Variable loss = sum(tape, multiply(tape, x, y));  // (a + 1)^3 b
  CHECK(tape.entries().size() == 4);
  tape.backward(loss);
  CHECK(runs == 2);
  CHECK(values_of(a.grad()) == Values{3 * 4 * 4, 3 * 9 * 5, 3 * 16 * 6});
  CHECK(values_of(b.grad()) == Values{8, 27, 64});
}

TEST_CASE("on a tape that records nothing it is made once") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape(Tape::Mode::evaluation);
  int runs = 0;
  const Variable y = recomputed(tape, "once", {a.variable()}, [&](Tape& now) {
    ++runs;
    return increment(now, a.variable());
  });
  CHECK(runs == 1);
  CHECK_FALSE(y.requires_grad());
  CHECK(tape.entries().empty());
}

TEST_CASE("backward from a value of many elements throws") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable y = increment(tape, a.variable());
  CHECK_THROWS_WITH_AS(tape.backward(y), "[backward] expected a scalar loss; got shape [2]", Error);
}

TEST_CASE("backward from a constant or from nothing throws") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable y = increment(tape, a.variable());
  const Variable constant = Variable::constant(Tensor::filled(Shape(), 1));
  CHECK_THROWS_WITH_AS(tape.backward(constant), doctest::Contains("got one without a gradient"),
                       Error);
  CHECK_THROWS_WITH_AS(tape.backward(Variable()), doctest::Contains("got none"), Error);
}

TEST_CASE("backward from a parameter, or from another tape's loss, throws and keeps the tape") {
  Parameter a("a", Tensor::filled(Shape(), 1));
  Tape tape, other;
  const Variable loss = increment(tape, a.variable());
  for (const Variable& wrong : {a.variable(), increment(other, a.variable())}) {
    CHECK_THROWS_WITH_AS(tape.backward(wrong), doctest::Contains("got one that is not on it"),
                         Error);
  }
  CHECK(a.grad().empty());
  tape.backward(loss);
  CHECK(a.grad().item() == 1);
}

TEST_CASE("backward on an evaluation tape throws") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape(Tape::Mode::evaluation);
  const Variable loss = sum(tape, a.variable());
  CHECK_THROWS_WITH_AS(tape.backward(loss), doctest::Contains("run forward with a recording tape"),
                       Error);
}

TEST_CASE("a gradient of a wrong shape throws and names the value") {
  Parameter a("weight", vector_of({1, 2}));
  CHECK_THROWS_WITH_AS(a.variable().grad().add(Tensor::zeros(Shape{3})),
                       "[weight] expected a gradient of shape [2]; got [3]", Error);
  CHECK_THROWS_AS(a.variable().grad().add(Tensor::zeros(Shape{2, 1})), Error);
  CHECK(a.grad().empty());

  Tape tape;
  const Variable y = tape.record("wrong", {a.variable()}, Tensor::filled(Shape(), 1),
                                 [da = a.variable().grad()](Tensor dy) { da.add(std::move(dy)); });
  CHECK_THROWS_WITH_AS(tape.backward(y), "[weight] expected a gradient of shape [2]; got []",
                       Error);
}

TEST_CASE("a gradient has the type of its value, and another is refused by name") {
  Parameter a("weight", vector_of({1, 2}));
  Tape tape;
  const Variable half =
      tape.record("half", {a.variable()}, a.value().converted(DType::bf16), [](Tensor) {});
  CHECK(half.type() == DType::bf16);
  CHECK(half.shared_gradient()->type() == DType::bf16);
  CHECK_THROWS_WITH_AS(half.grad().add(Tensor::zeros({2})),
                       "[half] expected a gradient of type bf16; got f32", Error);
  CHECK_THROWS_WITH_AS(a.variable().grad().add(Tensor::zeros({2}, DType::bf16)),
                       "[weight] expected a gradient of type f32; got bf16", Error);
  CHECK(half.shared_gradient()->sum().empty());
}

TEST_CASE("a bf16 gradient rounds each sum once, to the nearest") {
  Parameter a("a", vector_of({1, 2}));
  Tape tape;
  const Variable y =
      tape.record("half", {a.variable()}, a.value().converted(DType::bf16), [](Tensor) {});
  // Next to 256 bf16 has every second number, so 1 is half a step: ties go to the even one.
  for (const Values& d : {Values{256, 258}, Values{1, 1}, Values{1.5f, -1.5f}}) {
    y.grad().add(vector_of(d).converted(DType::bf16));
  }
  CHECK(values_of(y.shared_gradient()->sum().converted(DType::f32)) == Values{258, 258});
}

TEST_CASE("an op may add to a gradient in place") {
  Parameter a("a", vector_of({1, 2}));
  const GradientRef da = a.variable().grad();
  std::vector<bool> accumulated;
  const auto add = [&](const Values& d) {
    da.add_by([&](Tensor& sum, bool accumulate) {
      accumulated.push_back(accumulate);
      REQUIRE(sum.shape() == Shape{2});
      for (size_t i = 0; i < 2; ++i) sum.data()[i] = d[i] + (accumulate ? sum.data()[i] : 0);
    });
  };
  add({1, 2});
  add({10, 20});
  da.add(vector_of({100, 200}));
  CHECK(accumulated == std::vector<bool>{false, true});
  CHECK(values_of(a.grad()) == Values{111, 222});
  a.clear_grad();
  add({5, 6});
  CHECK(accumulated.back() == false);
  CHECK(values_of(a.grad()) == Values{5, 6});
}

TEST_CASE("a write that throws leaves no gradient behind") {
  Parameter a("a", vector_of({1, 2}));
  CHECK_THROWS_AS(a.variable().grad().add_by([](Tensor&, bool) { fail("no"); }), Error);
  CHECK(a.grad().empty());
}

TEST_CASE("large gradients are summed to the same values by any number of threads") {
  for (int count : {1, 3}) {
    set_threads(count);
    Parameter a("a", Tensor::zeros(Shape{100'003}));
    for (float d : {0.25f, 2.0f, 3.0f}) a.variable().grad().add(Tensor::filled(a.shape(), d));
    const auto sums = a.grad().values();
    CHECK(std::all_of(sums.begin(), sums.end(), [](float v) { return v == 5.25f; }));

    Gradient half(a.shape(), "half", DType::bf16);
    for (float d : {0.25f, 2.0f, 3.0f})
      half.add(Tensor::filled(a.shape(), d).converted(DType::bf16));
    const Tensor halves = half.sum().converted(DType::f32);
    CHECK(std::ranges::all_of(halves.values(), [](float v) { return v == 5.25f; }));
  }
}

TEST_CASE("a parameter is changed in place, and its variables see the change") {
  Parameter a("a", vector_of({1, 2}));
  const Variable variable = a.variable();
  a.value().data()[0] = 7;
  CHECK(variable.value().data()[0] == 7);
  CHECK(a.name() == "a");
  CHECK(a.shape() == Shape{2});
}

}  // namespace adaspan
