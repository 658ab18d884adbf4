// SPDX-License-Identifier: MIT
#include "adaspan/ops/layer_norm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

Array normalised(const Arrays& x) {
  const int64_t H = x[1].elements();
  Array y(x[0].shape());
  for (int64_t r = 0; r < y.shape().rows(); ++r) {
    double mean = 0, variance = 0;
    for (int64_t h = 0; h < H; ++h) mean += x[0][r * H + h] / static_cast<double>(H);
    for (int64_t h = 0; h < H; ++h) {
      variance += std::pow(x[0][r * H + h] - mean, 2) / static_cast<double>(H);
    }
    for (int64_t h = 0; h < H; ++h) {
      const double xhat = (x[0][r * H + h] - mean) / std::sqrt(variance + 1e-5);
      y[r * H + h] = xhat * x[1](h) + x[2](h);
    }
  }
  return y;
}

Variable op(Tape& tape, const Variables& x) {
  return layer_norm(tape, x[0], x[1], x[2]);
}

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("layer_norm takes away each row's mean and divides by its deviation") {
  check_op(op, normalised,
           {random_tensor({3, 4, 8}, 1), random_tensor({8}, 2), random_tensor({8}, 3)});
  check_op(op, normalised,
           {random_tensor({13}, 1), random_tensor({13}, 2), random_tensor({13}, 3)});
}

TEST_CASE("layer_norm of more rows than one chunk has") {
  check_op(op, normalised,
           {random_tensor({150, 3, 7}, 1), random_tensor({7}, 2), random_tensor({7}, 3)});
}

TEST_CASE("layer_norm at each instruction level, and of bf16") {
  at_each_level([] {
    check_op(op, normalised,
             {random_tensor({3, 7, 45}, 1), random_tensor({45}, 2), random_tensor({45}, 3)});
  });
  for (const Shape& shape : {Shape{3, 7, 45}, Shape{150, 2, 64}}) {
    std::vector<Tensor> inputs;
    inputs.push_back(to_half(random_tensor(shape, 1)));
    inputs.push_back(random_tensor({shape[-1]}, 2));
    inputs.push_back(random_tensor({shape[-1]}, 3));
    check_bf16(op, inputs);
  }
}

TEST_CASE("gradients of gain and bias of very many rows do not drown in their rounding") {
  constexpr int64_t kRows = 100'000;
  Parameter gain("gain", Tensor::zeros({3})), bias("bias", Tensor::zeros({3}));
  Tensor rows({kRows, 3});
  for (int64_t i = 0; i < rows.elements(); ++i) rows.data()[i] = static_cast<float>(i % 3);
  Tape tape;
  layer_norm(tape, Variable::constant(std::move(rows)), gain.variable(), bias.variable());
  tape.entries()[0].backward(Tensor::filled({kRows, 3}, 0.1f));
  const double xhat =
      1 / std::sqrt(2 / 3.0 + 1e-5);  // of the last column; the first one's is -xhat
  CHECK(gain.grad().data()[2] == doctest::Approx(0.1 * xhat * kRows).epsilon(1e-5));
  for (float d : bias.grad().values()) CHECK(d == doctest::Approx(0.1 * kRows).epsilon(1e-5));
}

TEST_CASE("epsilon counts where the deviation is as small as its root") {
  check_op(op, normalised,
           {random_tensor({5, 8}, 1, -3e-3, 3e-3), random_tensor({8}, 2), random_tensor({8}, 3)},
           {.bound = 2e-5});
}

TEST_CASE("a profile has layer_norm forward and backward, with the bytes of activations") {
  for (DType type : {DType::f32, DType::bf16}) {
    const Variable x(share(Tensor::zeros({3, 8}, type)),
                     std::make_shared<Gradient>(Shape{3, 8}, "x", type));
    start_profile();
    Tape tape;
    layer_norm(tape, x, zeros({8}), zeros({8}));
    tape.entries()[0].backward(Tensor::zeros({3, 8}, type));
    std::vector<ProfileRow> rows = stop_profile();
    REQUIRE(rows.size() == 2);
    std::ranges::sort(rows, std::less(), &ProfileRow::kernel);
    const double bytes = 24.0 * static_cast<double>(size_of(type));
    CHECK(rows[0].kernel == "layer_norm");
    CHECK(rows[0].bytes == 2 * bytes);  // x, y
    CHECK(rows[1].kernel == "layer_norm backward");
    CHECK(rows[1].bytes == 3 * bytes);  // x, dy, dx
  }
}

TEST_CASE("layer_norm of a row of equal numbers is the bias") {
  Tape tape;
  const Tensor bias = random_tensor({5}, 1);
  const Variable y =
      layer_norm(tape, Variable::constant(Tensor::filled({1, 5}, 3)),
                 Variable::constant(random_tensor({5}, 2)), Variable::constant(bias.clone()));
  CHECK(same_bits(y.value(), bias.clone().reshaped({1, 5})));
}

TEST_CASE("a gain or bias of another width throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(layer_norm(tape, zeros({2, 4}), zeros({3}), zeros({4})),
                       "[layer_norm] expected gain and bias [4] for x [2, 4]; got [3] and [4]",
                       Error);
  CHECK_THROWS_WITH_AS(layer_norm(tape, zeros({2, 4}), zeros({4}), zeros({1, 4})),
                       "[layer_norm] expected gain and bias [4] for x [2, 4]; got [4] and [1, 4]",
                       Error);
}

TEST_CASE("a gain or bias of another type than f32 throws") {
  Tape tape;
  const Variable half = Variable::constant(Tensor::zeros({4}, DType::bf16));
  const char* expected = "[layer_norm] expected a value of type f32; got bf16 [4]";
  CHECK_THROWS_WITH_AS(layer_norm(tape, zeros({2, 4}), half, zeros({4})), expected, Error);
  CHECK_THROWS_WITH_AS(layer_norm(tape, zeros({2, 4}), zeros({4}), half), expected, Error);
}

}  // namespace adaspan
