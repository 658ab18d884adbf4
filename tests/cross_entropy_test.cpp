// SPDX-License-Identifier: MIT
#include "adaspan/ops/cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

Tensor random_targets(Shape shape, int64_t V) {
  Tensor targets(std::move(shape), DType::i32);
  for (int64_t r = 0; r < targets.elements(); ++r) {
    const double u = random_uniform({.seed = 5}, static_cast<uint64_t>(r));
    targets.data<int32_t>()[r] = static_cast<int32_t>(u * static_cast<double>(V));
  }
  return targets;
}

void check_cross_entropy(const Shape& rows, int64_t V) {
  const Tensor targets = random_targets(rows, V);
  std::vector<int64_t> extents = rows.extents();
  extents.push_back(V);
  check_op([&](Tape& tape, const Variables& x) { return cross_entropy(tape, x[0], targets); },
           [&](const Arrays& x) {
             Array loss({1});
             const int64_t n = targets.elements();
             for (int64_t r = 0; r < n; ++r) {
               double sum = 0;
               for (int64_t v = 0; v < V; ++v) sum += std::exp(x[0][r * V + v]);
               loss[0] += std::log(sum) - x[0][r * V + targets.data<int32_t>()[r]];
             }
             loss[0] /= static_cast<double>(n);
             return loss;
           },
           {random_tensor(Shape(extents), 1, -4, 4)});
}

/// The loss of one row.
float loss_of(const std::vector<float>& logits, int32_t target) {
  Tape tape(Tape::Mode::evaluation);
  const Tensor row = Tensor::of({1, static_cast<int64_t>(logits.size())}, logits);
  return cross_entropy(tape, Variable::constant(row.clone()),
                       Tensor::of({1}, std::vector<int32_t>{target}))
      .value()
      .item();
}

}  // namespace

TEST_CASE("cross_entropy is the mean of log(sum e^logits) minus the target's logit") {
  check_cross_entropy({4, 3}, 7);
  check_cross_entropy({1}, 33);
}

TEST_CASE("cross_entropy of more rows than one chunk has") {
  check_cross_entropy({100, 3}, 5);
}

TEST_CASE("cross_entropy at each instruction level") {
  at_each_level([] { check_cross_entropy({9, 3}, 205); });
}

TEST_CASE("logits all alike give the logarithm of their number") {
  CHECK(loss_of(std::vector<float>(205, 3.5f), 7) == doctest::Approx(std::log(205.0)));
}

TEST_CASE("extreme logits give finite losses") {
  CHECK(loss_of({1e4f, -1e4f, 0}, 0) == 0);
  CHECK(loss_of({1e4f, -1e4f, 0}, 1) == doctest::Approx(2e4));
  CHECK(loss_of({-1e4f, -1e4f}, 1) == doctest::Approx(std::log(2.0)).epsilon(1e-3));
}

TEST_CASE("a NaN among the logits makes the loss NaN, wherever it is") {
  for (size_t place : {0, 1, 2}) {
    std::vector<float> logits = {1, 2, 3};
    logits[place] = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(loss_of(logits, 0)));
  }
}

TEST_CASE("the loss of many rows does not drown in its rounding") {
  constexpr int64_t kRows = 1 << 20;
  Tape tape(Tape::Mode::evaluation);
  const Variable loss = cross_entropy(tape, Variable::constant(Tensor::zeros({kRows, 3})),
                                      Tensor::zeros({kRows}, DType::i32));
  CHECK(std::abs(loss.value().item() - std::log(3.0)) < 2e-7);
}

TEST_CASE("targets of another number, or outside of the vocabulary, throw") {
  Tape tape;
  const Variable logits = Variable::constant(Tensor::zeros({2, 3, 5}));
  CHECK_THROWS_WITH_AS(cross_entropy(tape, logits, Tensor::zeros({5}, DType::i32)),
                       "[cross_entropy] expected 6 targets for logits [2, 3, 5]; got 5", Error);
  Tensor targets = Tensor::zeros({2, 3}, DType::i32);
  targets.data<int32_t>()[4] = 5;
  CHECK_THROWS_WITH_AS(cross_entropy(tape, logits, targets),
                       "[cross_entropy] expected targets in [0, 5); got 5", Error);
  targets.data<int32_t>()[4] = -1;
  CHECK_THROWS_WITH_AS(cross_entropy(tape, logits, targets),
                       "[cross_entropy] expected targets in [0, 5); got -1", Error);
}

TEST_CASE("logits of another type than f32 throw") {
  Tape tape;
  const Variable half = Variable::constant(Tensor::zeros({2, 5}, DType::bf16));
  CHECK_THROWS_WITH_AS(cross_entropy(tape, half, Tensor::zeros({2}, DType::i32)),
                       "[cross_entropy] expected a value of type f32; got bf16 [2, 5]", Error);
}

}  // namespace adaspan
