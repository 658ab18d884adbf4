// SPDX-License-Identifier: MIT
#include "adaspan/ops/layout.h"

#include <doctest/doctest.h>

#include "adaspan/core/error.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

/// y(t, b, i) = f(t, b, i)
template <class F>
Array each(Shape shape, const F& f) {
  Array y(shape);
  for (int64_t t = 0; t < shape[0]; ++t) {
    for (int64_t b = 0; b < shape[1]; ++b) {
      for (int64_t i = 0; i < shape[2]; ++i) y(t, b, i) = f(t, b, i);
    }
  }
  return y;
}

void check_slices(const Shape& shape, int64_t begin, int64_t count) {
  const int64_t M = shape[0], B = shape[1], n = shape[2];
  check_op([&](Tape& tape, const Variables& x) { return slice_columns(tape, x[0], begin, count); },
           [&](const Arrays& x) {
             return each({M, B, count},
                         [&](int64_t t, int64_t b, int64_t i) { return x[0](t, b, begin + i); });
           },
           {random_tensor(shape, 1)}, {.samples = 40});
  check_op([&](Tape& tape, const Variables& x) { return slice_steps(tape, x[0], begin, count); },
           [&](const Arrays& x) {
             return each({count, B, n},
                         [&](int64_t t, int64_t b, int64_t i) { return x[0](begin + t, b, i); });
           },
           {random_tensor(shape, 1)}, {.samples = 40});
}

Variable columns(Tape& tape, const Variables& x) {
  return concat_columns(tape, x);
}
Variable steps(Tape& tape, const Variables& x) {
  return concat_steps(tape, x);
}

/// Writes a part into y, from a step and a column on.
void put(Array& y, const Array& part, int64_t step, int64_t column) {
  for (int64_t t = 0; t < part.shape()[0]; ++t) {
    for (int64_t b = 0; b < part.shape()[1]; ++b) {
      for (int64_t i = 0; i < part.shape()[2]; ++i) y(step + t, b, column + i) = part(t, b, i);
    }
  }
}

Array columns_of(const Arrays& x) {
  int64_t n = 0, column = 0;
  for (const Array& part : x) n += part.shape()[2];
  Array y(x[0].shape().with_last(n));
  for (const Array& part : x) {
    put(y, part, 0, column);
    column += part.shape()[2];
  }
  return y;
}

Array steps_of(const Arrays& x) {
  int64_t n = 0, step = 0;
  for (const Array& part : x) n += part.shape()[0];
  Array y({n, x[0].shape()[1], x[0].shape()[2]});
  for (const Array& part : x) {
    put(y, part, step, 0);
    step += part.shape()[0];
  }
  return y;
}

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("reshape keeps the values and their order") {
  check_op(
      [](Tape& tape, const Variables& x) {
        return reshape(tape, x[0], {4, 1, 3});
      },
      [](const Arrays& x) {
        Array y({4, 1, 3});
        for (int64_t i = 0; i < 12; ++i) y[i] = x[0][i];
        return y;
      },
      {random_tensor({2, 6}, 1)});
}

TEST_CASE("a slice of columns or steps is those columns or steps, and nothing else has gradient") {
  check_slices({6, 3, 7}, 2, 3);
  check_slices({6, 3, 7}, 0, 6);
  check_slices({6, 3, 7}, 5, 1);
}

TEST_CASE("slices of more rows and steps than one chunk has") {
  check_slices({1100, 2, 4}, 1, 3);
  check_op([&](Tape& tape, const Variables& x) { return slice_steps(tape, x[0], 3, 2050); },
           [&](const Arrays& x) {
             return each({2050, 1, 2},
                         [&](int64_t t, int64_t b, int64_t i) { return x[0](3 + t, b, i); });
           },
           {random_tensor({2100, 1, 2}, 1)}, {.samples = 40});
}

TEST_CASE("concatenated columns stand side by side") {
  check_op(columns, columns_of,
           {random_tensor({4, 3, 2}, 1), random_tensor({4, 3, 1}, 2), random_tensor({4, 3, 5}, 3)});
  check_op(columns, columns_of, {random_tensor({4, 3, 2}, 1)});
  check_op(columns, columns_of, {random_tensor({600, 3, 2}, 1), random_tensor({600, 3, 3}, 2)},
           {.samples = 40});
}

TEST_CASE("concatenated steps come one after another") {
  check_op(steps, steps_of,
           {random_tensor({4, 3, 2}, 1), random_tensor({1, 3, 2}, 2), random_tensor({5, 3, 2}, 3)});
  check_op(steps, steps_of, {random_tensor({4, 3, 2}, 1)});
  check_op(steps, steps_of, {random_tensor({1500, 1, 2}, 1), random_tensor({2000, 1, 2}, 2)},
           {.samples = 40});
}

TEST_CASE("parts may be empty") {
  Tape tape;
  const Tensor values = random_tensor({2, 3, 4}, 1);
  const Variable x = Variable::constant(values.clone());
  CHECK(slice_columns(tape, x, 4, 0).shape() == Shape{2, 3, 0});
  CHECK(slice_steps(tape, x, 2, 0).shape() == Shape{0, 3, 4});
  CHECK(same_bits(concat_columns(tape, {zeros({2, 3, 0}), x}).value(), values));
  CHECK(same_bits(concat_steps(tape, {x, zeros({0, 3, 4})}).value(), values));
}

TEST_CASE("results are copies") {
  Parameter x("x", random_tensor({2, 3, 4}, 1));
  const Tensor before = x.value().clone();
  Tape tape;
  const Variable all_columns = slice_columns(tape, x.variable(), 0, 4);
  const Variable all_steps = concat_steps(tape, {x.variable()});
  const Variable reshaped = reshape(tape, x.variable(), {2, 3, 4});
  x.value().data()[5] += 1;
  CHECK(same_bits(all_columns.value(), before));
  CHECK(same_bits(all_steps.value(), before));
  CHECK(same_bits(reshaped.value(), before));
}

TEST_CASE("a shape of another number of elements throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(reshape(tape, zeros({2, 6}), {4, 2}),
                       "[reshape] expected a shape of 12 elements; got [4, 2]", Error);
}

TEST_CASE("slices that are not all there throw") {
  Tape tape;
  const Variable x = zeros({2, 3, 4});
  CHECK_THROWS_WITH_AS(slice_columns(tape, x, 2, 3),
                       "[slice_columns] expected columns within [2, 3, 4]; got 3 from 2", Error);
  CHECK_THROWS_WITH_AS(slice_columns(tape, x, -1, 3),
                       "[slice_columns] expected columns within [2, 3, 4]; got 3 from -1", Error);
  CHECK_THROWS_WITH_AS(slice_columns(tape, x, 2, -1),
                       "[slice_columns] expected columns within [2, 3, 4]; got -1 from 2", Error);
  CHECK_THROWS_WITH_AS(slice_steps(tape, x, 1, 2),
                       "[slice_steps] expected steps within [2, 3, 4]; got 2 from 1", Error);
  CHECK_THROWS_WITH_AS(slice_steps(tape, x, -1, 2),
                       "[slice_steps] expected steps within [2, 3, 4]; got 2 from -1", Error);
  CHECK_THROWS_WITH_AS(slice_steps(tape, x, 1, -1),
                       "[slice_steps] expected steps within [2, 3, 4]; got -1 from 1", Error);
}

TEST_CASE("nothing, or parts that are not alike, cannot be concatenated") {
  Tape tape;
  CHECK_THROWS_WITH_AS(concat_columns(tape, {}),
                       "[concat_columns] expected at least one value; got none", Error);
  CHECK_THROWS_WITH_AS(concat_steps(tape, {}),
                       "[concat_steps] expected at least one value; got none", Error);
  CHECK_THROWS_WITH_AS(concat_columns(tape, {zeros({2, 3, 4}), zeros({2, 2, 4})}),
                       "[concat_columns] expected values alike but for the last axis; got "
                       "[2, 3, 4] and [2, 2, 4]",
                       Error);
  CHECK_THROWS_WITH_AS(concat_steps(tape, {zeros({2, 3, 4}), zeros({2, 3, 5})}),
                       "[concat_steps] expected values alike but for the first axis; got "
                       "[2, 3, 4] and [2, 3, 5]",
                       Error);
}

}  // namespace adaspan
