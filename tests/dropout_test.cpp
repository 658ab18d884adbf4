// SPDX-License-Identifier: MIT
#include "adaspan/ops/dropout.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/ops/layout.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

const RandomKey kKey{.seed = 3, .purpose = Purpose::dropout, .step = 5, .site = 7};

Dropout whole_batch(float rate, int64_t B) {
  return {.rate = rate, .key = kKey, .first_sequence = 0, .batch = B};
}

/// What is left of ones: 0 or 1 / (1 - rate).
Tensor masked_ones(Shape shape, const Dropout& mask, Columns columns = {}) {
  Tape tape(Tape::Mode::evaluation);
  const Variable ones = Variable::constant(Tensor::filled(std::move(shape), 1));
  return dropout(tape, ones, mask, columns).value().clone();
}

/// Sequences begin .. begin+count-1 of x [M,B,n].
Tensor sequences(const Tensor& x, int64_t begin, int64_t count) {
  const int64_t M = x.shape()[0], B = x.shape()[1], n = x.shape()[2];
  Tensor part({M, count, n});
  for (int64_t t = 0; t < M; ++t) {
    for (int64_t i = 0; i < count * n; ++i) {
      part.data()[t * count * n + i] = x.data()[(t * B + begin) * n + i];
    }
  }
  return part;
}

/// The mask by its documented numbering, times x.
Array definition(const Array& x, const Dropout& mask, const Columns& columns) {
  Array y(x.shape());
  for (int64_t t = 0; t < x.shape()[0]; ++t) {
    for (int64_t b = 0; b < x.shape()[1]; ++b) {
      for (int64_t i = 0; i < x.shape()[2]; ++i) {
        const int64_t row = t * mask.batch + mask.first_sequence + b;
        const int64_t number = row * columns.of + columns.begin + i;
        const bool kept = random_uniform(mask.key, static_cast<uint64_t>(number)) >= mask.rate;
        y(t, b, i) = kept ? x(t, b, i) / (1 - double{mask.rate}) : 0;
      }
    }
  }
  return y;
}

}  // namespace

TEST_CASE("dropout and its gradient use the same documented random numbers") {
  for (const Columns& columns : {Columns{0, 5}, Columns{4, 19}}) {
    const Dropout mask{.rate = 0.3f, .key = kKey, .first_sequence = 2, .batch = 9};
    const auto op = [&](Tape& tape, const Variables& x) {
      return dropout(tape, x[0], mask, columns);
    };
    const auto expected = [&](const Arrays& x) { return definition(x[0], mask, columns); };
    check_op(op, expected, {random_tensor({4, 3, 5}, 1)});
    check_op(op, expected, {random_tensor({61, 7, 5}, 2)});  // more rows than one chunk
  }
}

TEST_CASE("dropout at each instruction level, and of bf16") {
  const Dropout mask{.rate = 0.3f, .key = kKey, .first_sequence = 2, .batch = 9};
  const Op op = [&](Tape& tape, const Variables& x) { return dropout(tape, x[0], mask, {4, 99}); };
  at_each_level([&] {
    check_op(op,
             [&](const Arrays& x) {
               return definition(x[0], mask, {4, 99});
             },
             {random_tensor({4, 3, 75}, 1)});
  });
  std::vector<Tensor> inputs;
  inputs.push_back(to_half(random_tensor({41, 3, 75}, 1)));
  check_bf16(op, inputs);
}

TEST_CASE("rows are as wide as the value unless it is said otherwise") {
  const Dropout mask = whole_batch(0.5f, 2);
  CHECK(same_bits(masked_ones({3, 2, 6}, mask), masked_ones({3, 2, 6}, mask, {0, 6})));
}

TEST_CASE("a batch in parts drops the same as the whole batch") {
  const Tensor whole = masked_ones({10, 8, 6}, whole_batch(0.5f, 8));
  for (int64_t part : {1, 2, 4}) {
    for (int64_t first = 0; first < 8; first += part) {
      Dropout mask = whole_batch(0.5f, 8);
      mask.first_sequence = first;
      CHECK(same_bits(masked_ones({10, part, 6}, mask), sequences(whole, first, part)));
    }
  }
}

TEST_CASE("a slice of columns drops the same as it would in the whole row") {
  const Dropout mask = whole_batch(0.4f, 3);
  Tape tape(Tape::Mode::evaluation);
  const Variable whole = Variable::constant(masked_ones({5, 3, 40}, mask));
  for (const auto& [begin, width] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 40}, {0, 1}, {7, 9}, {13, 27}, {39, 1}}) {
    const Variable slice = slice_columns(tape, whole, begin, width);
    CHECK(same_bits(masked_ones({5, 3, width}, mask, {begin, 40}), slice.value()));
  }
}

TEST_CASE("the share that is dropped is the rate, and the mean is kept") {
  for (float rate : {0.05f, 0.3f, 0.9f}) {
    const Tensor y = masked_ones({100, 20, 50}, whole_batch(rate, 20));
    const double n = static_cast<double>(y.elements());
    double sum = 0, dropped = 0;
    for (float value : y.values()) {
      sum += value;
      dropped += value == 0;
    }
    const double deviation = std::sqrt(rate * (1 - rate) / n);  // of the share; bounds are 4 of it
    CAPTURE(rate);
    CHECK(std::abs(dropped / n - rate) < 4 * deviation);
    CHECK(std::abs(sum / n - 1) < 4 * deviation / (1 - rate));
  }
}

TEST_CASE("other sites, steps and seeds drop others, the same key drops the same") {
  const Dropout mask = whole_batch(0.5f, 2);
  Dropout other_site = mask, other_step = mask, other_seed = mask;
  other_site.key.site += 1;
  other_step.key.step += 1;
  other_seed.key.seed += 1;
  const Tensor y = masked_ones({4, 2, 30}, mask);
  CHECK(same_bits(y, masked_ones({4, 2, 30}, mask)));
  CHECK_FALSE(same_bits(y, masked_ones({4, 2, 30}, other_site)));
  CHECK_FALSE(same_bits(y, masked_ones({4, 2, 30}, other_step)));
  CHECK_FALSE(same_bits(y, masked_ones({4, 2, 30}, other_seed)));
}

TEST_CASE("rows of a mask differ, over time and over sequences") {
  const Tensor y = masked_ones({6, 4, 64}, whole_batch(0.5f, 4));
  std::set<std::vector<float>> rows;
  for (int64_t r = 0; r < 24; ++r) rows.emplace(y.data() + r * 64, y.data() + (r + 1) * 64);
  CHECK(rows.size() == 24);
}

TEST_CASE("a rate of zero gives the value itself, of any shape") {
  Parameter x("x", random_tensor({3}, 1));
  Tape tape;
  const Variable y = dropout(tape, x.variable(), {});
  CHECK(&y.value() == &x.value());
  CHECK(tape.entries().empty());
}

TEST_CASE("a rate that is no share of the whole throws") {
  Tape tape;
  const Variable x = Variable::constant(Tensor::zeros({2, 3, 4}));
  CHECK_THROWS_WITH_AS(dropout(tape, x, whole_batch(1, 3)),
                       "[dropout] expected a dropout rate in [0, 1); got 1", Error);
  CHECK_THROWS_WITH_AS(dropout(tape, x, whole_batch(-0.5f, 3)),
                       "[dropout] expected a dropout rate in [0, 1); got -0.5", Error);
  CHECK_THROWS_WITH_AS(dropout(tape, x, whole_batch(std::numeric_limits<float>::quiet_NaN(), 3)),
                       "[dropout] expected a dropout rate in [0, 1); got nan", Error);
}

TEST_CASE("a part that is not within its batch throws") {
  Tape tape;
  const auto zeros = [](Shape shape) { return Variable::constant(Tensor::zeros(shape)); };
  Dropout mask = whole_batch(0.5f, 4);
  CHECK_THROWS_WITH_AS(dropout(tape, zeros({3, 4}), mask),
                       "[dropout] expected x [M,B,n]; got [3, 4]", Error);
  mask.first_sequence = 2;
  CHECK_THROWS_WITH_AS(dropout(tape, zeros({2, 3, 4}), mask),
                       "[dropout] expected 3 sequences, from sequence 2, within a batch of 4",
                       Error);
  mask.first_sequence = -1;
  CHECK_THROWS_WITH_AS(dropout(tape, zeros({2, 3, 4}), mask),
                       "[dropout] expected 3 sequences, from sequence -1, within a batch of 4",
                       Error);
}

}  // namespace adaspan
