// SPDX-License-Identifier: MIT
#include "adaspan/ops/rows.h"

#include <doctest/doctest.h>

#include <vector>

#include "adaspan/core/error.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

Tensor ids(const std::vector<int32_t>& rows) {
  return Tensor::of({static_cast<int64_t>(rows.size())}, rows);
}

/// Every third row of n, last to first, with a few that are none.
Tensor some_rows(int64_t n) {
  std::vector<int32_t> rows{kNoRow};
  for (int64_t row = n - 1; row >= 0; row -= 3) rows.push_back(static_cast<int32_t>(row));
  rows.push_back(kNoRow);
  return ids(rows);
}

void check_gather(const Shape& shape, const Tensor& rows) {
  check_op([&](Tape& tape, const Variables& x) { return gather_rows(tape, x[0], rows); },
           [&](const Arrays& x) {
             const int64_t n = shape[-1];
             Array y({rows.elements(), n});
             for (int64_t r = 0; r < rows.elements(); ++r) {
               const int32_t row = rows.data<int32_t>()[r];
               if (row == kNoRow) continue;
               for (int64_t i = 0; i < n; ++i) y(r, i) = x[0][row * n + i];
             }
             return y;
           },
           {random_tensor(shape, 1)});
}

/// Two parts of rows of n columns.
void check_scatter(const Tensor& first, const Tensor& second, const Shape& leading, int64_t n) {
  std::vector<Tensor> rows;
  rows.push_back(first.clone());
  rows.push_back(second.clone());
  check_op([&](Tape& tape, const Variables& x) { return scatter_rows(tape, x, rows, leading, 3); },
           [&](const Arrays& x) {
             std::vector<int64_t> extents = leading.extents();
             extents.push_back(n);
             Array y{Shape(extents)};
             for (size_t part = 0; part < 2; ++part) {
               for (int64_t r = 0; r < rows[part].elements(); ++r) {
                 const int32_t row = rows[part].data<int32_t>()[r];
                 if (row == kNoRow) continue;
                 for (int64_t i = 0; i < n; ++i) y[row * n + i] = 3 * x[part](r, i);
               }
             }
             return y;
           },
           {random_tensor({first.elements(), n}, 1), random_tensor({second.elements(), n}, 2)});
}

}  // namespace

TEST_CASE("gather_rows takes rows, and zeros where there is none") {
  check_gather({4, 3, 5}, ids({7, 0, kNoRow, 11, 3}));
  check_gather({4, 1}, ids({2}));
  check_gather({700, 2, 33}, some_rows(1400));
}

TEST_CASE("scatter_rows puts rows of parts to their places, scaled, and zeros elsewhere") {
  check_scatter(ids({5, kNoRow, 0}), ids({4, 1}), {3, 2}, 4);
  check_scatter(some_rows(900), ids({1, 3}), {300, 3}, 17);
}

TEST_CASE("scatter_rows of single numbers") {
  std::vector<Tensor> rows;
  rows.push_back(ids({3, 1}));
  Tape tape(Tape::Mode::evaluation);
  const Variable part = Variable::constant(Tensor::of({2}, std::vector<float>{5, 7}));
  const Variable y = scatter_rows(tape, {part}, rows, {2, 2});
  CHECK(same_bits(y.value(), Tensor::of({2, 2}, std::vector<float>{0, 7, 0, 5})));
}

TEST_CASE("gather_rows and scatter_rows of bf16") {
  const Tensor list = some_rows(600);
  std::vector<Tensor> x;
  x.push_back(to_half(random_tensor({300, 2, 40}, 1)));
  check_bf16([&](Tape& tape, const Variables& v) { return gather_rows(tape, v[0], list); }, x);
  std::vector<Tensor> rows, parts;
  rows.push_back(list.clone());
  parts.push_back(to_half(random_tensor({list.elements(), 40}, 1)));
  check_bf16(
      [&](Tape& tape, const Variables& v) {
        return scatter_rows(tape, v, rows, {300, 2}, 1.7f);
      },
      parts);
}

TEST_CASE("gathered gradients are added to those that there are") {
  Parameter x("x", random_tensor({3, 2}, 1));
  for (int32_t row : {2, 0}) {
    Tape tape;
    gather_rows(tape, x.variable(), ids({row, kNoRow}));
    tape.entries()[0].backward(Tensor::filled({2, 2}, 1));
  }
  CHECK(same_bits(x.grad(), Tensor::of({3, 2}, std::vector<float>{1, 1, 0, 0, 1, 1})));
}

TEST_CASE("no rows are rows, too") {
  Parameter x("x", random_tensor({3, 2}, 1));
  Tape tape;
  const Variable none = gather_rows(tape, x.variable(), ids({}));
  std::vector<Tensor> rows;
  rows.push_back(ids({}));
  const Variable y = scatter_rows(tape, {none}, rows, {2});
  CHECK(same_bits(y.value(), Tensor::zeros({2, 2})));
  tape.entries()[1].backward(Tensor::filled({2, 2}, 1));
  tape.entries()[0].backward(Tensor::zeros({0, 2}));
  CHECK(same_bits(x.grad(), Tensor::zeros({3, 2})));
}

TEST_CASE("rows that are not there, or there twice, and parts that do not fit throw") {
  Tape tape;
  const Variable x = Variable::constant(Tensor::zeros({2, 3}));
  CHECK_THROWS_WITH_AS(gather_rows(tape, x, ids({2})),
                       "[gather_rows] expected rows in [0, 2); got 2", Error);
  CHECK_THROWS_WITH_AS(gather_rows(tape, x, ids({-2})),
                       "[gather_rows] expected rows in [0, 2); got -2", Error);
  CHECK_THROWS_WITH_AS(gather_rows(tape, x, ids({1, 1})),
                       "[gather_rows] expected distinct rows; got 1 twice", Error);
  CHECK_THROWS_WITH_AS(gather_rows(tape, Variable::constant(Tensor::zeros({})), ids({})),
                       "[gather_rows] expected x [..., n]; got []", Error);
  std::vector<Tensor> rows;
  CHECK_THROWS_WITH_AS(scatter_rows(tape, {}, rows, {4}),
                       "[scatter_rows] expected parts, and rows for each; got 0 and 0", Error);
  rows.push_back(ids({0, 1}));
  rows.push_back(ids({3, 1}));
  CHECK_THROWS_WITH_AS(scatter_rows(tape, {x, x}, rows, {4}),
                       "[scatter_rows] expected distinct rows; got 1 twice", Error);
  CHECK_THROWS_WITH_AS(scatter_rows(tape, {x, x}, rows, {2}),
                       "[scatter_rows] expected rows in [0, 2); got 3", Error);
  const Variable other = Variable::constant(Tensor::zeros({2, 4}));
  CHECK_THROWS_WITH_AS(scatter_rows(tape, {x, other}, rows, {4}),
                       "[scatter_rows] expected 2 rows like those of f32 [2, 3]; got f32 [2, 4]",
                       Error);
}

}  // namespace adaspan
