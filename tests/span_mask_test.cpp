// SPDX-License-Identifier: MIT
#include "adaspan/ops/span_mask.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "adaspan/core/error.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

/// (R + z - u) / R for column j of E, u = distance - 1 = E - j - 1
double ramp_of(double z, int64_t j, int64_t E, int64_t R) {
  const auto u = static_cast<double>(E - j - 1);
  return (static_cast<double>(R) + z - u) / static_cast<double>(R);
}

/// The mask of each span in x[0], clamped; NaN on a kink.
Array mask_of(const Arrays& x, int64_t E, int64_t R) {
  Array m(x[0].shape().rank() == 1 ? Shape{1, E} : x[0].shape().with_last(E));
  for (int64_t i = 0; i < m.elements(); ++i) {
    const double raw = ramp_of(x[0][i / E], i % E, E, R);
    m[i] = std::clamp(off_kink(off_kink(raw, 0), 1), 0.0, 1.0);
  }
  return m;
}

void check_mask(const Tensor& z, int64_t E, int64_t R) {
  check_op([&](Tape& tape, const Variables& x) { return span_mask(tape, x[0], E, R); },
           [&](const Arrays& x) { return mask_of(x, E, R); }, {z.clone()});
}

Variable spans(const std::vector<float>& z) {
  return Variable::constant(Tensor::of({static_cast<int64_t>(z.size())}, z));
}

/// The gradient of one span from the gradient dm of its mask.
float span_gradient(float z, int64_t R, const std::vector<float>& dm) {
  Parameter span("z", Tensor::filled({1}, z));
  const auto E = static_cast<int64_t>(dm.size());
  Tape tape;
  span_mask(tape, span.variable(), E, R);
  tape.entries()[0].backward(Tensor::of({1, E}, dm));
  return span.grad().item();
}

}  // namespace

TEST_CASE("the mask falls from 1 to 0 over the ramp, at fractional spans") {
  for (float z : {0.3f, 2.6f, 7.5f, 11.8f}) {
    CAPTURE(z);
    for (int64_t R : {1, 4, 20}) check_mask(Tensor::filled({1}, z), 12, R);
  }
}

TEST_CASE("each query may have a span of its own") {
  check_mask(random_tensor({3, 2, 1}, 1, 0, 9), 12, 4);
  check_mask(random_tensor({300, 2, 1}, 1, 0, 9), 12, 4);  // more rows than one chunk
}

TEST_CASE("the mask at integer spans is exact, both ends of the ramp included") {
  Tape tape;
  const auto mask = [&](float z, int64_t E) {
    const Tensor m = span_mask(tape, spans({z}), E, 4).value().clone();
    return std::vector<float>(m.values().begin(), m.values().end());
  };
  // Columns are distances E .. 1, so u = E-1 .. 0.
  CHECK(mask(0, 6) == std::vector<float>{0, 0, 0.25f, 0.5f, 0.75f, 1});
  CHECK(mask(2, 8) == std::vector<float>{0, 0, 0.25f, 0.5f, 0.75f, 1, 1, 1});
  CHECK(mask(2, 3) == std::vector<float>{1, 1, 1});
  CHECK(mask(100, 3) == std::vector<float>{1, 1, 1});
  CHECK(mask(0, 1) == std::vector<float>{1});
}

TEST_CASE("the gradient of the span counts the ramp with both of its ends, and nothing else") {
  const std::vector<float> dm = {1, 10, 100, 1e3f, 1e4f, 1e5f, 1e6f};  // u = 6 .. 0
  CHECK(span_gradient(1, 4, dm) == 111110 / 4.0f);    // ramp from u = 1 (raw 1) to u = 5 (raw 0)
  CHECK(span_gradient(0, 4, dm) == 1111100 / 4.0f);   // u = 0 .. 4
  CHECK(span_gradient(1.5f, 4, dm) == 11110 / 4.0f);  // u = 2 .. 5
  CHECK(span_gradient(2, 1, dm) == 11000);            // u = 2, 3
  CHECK(span_gradient(100, 4, dm) == 0);
}

TEST_CASE("nothing beyond the effective span has any weight or gradient, and its last step may") {
  for (int64_t R : {1, 4, 32}) {
    for (float z : {0.0f, 0.25f, 1.0f, 4.0f, 5.99f, 31.0f, 31.999998f, 100.3f}) {
      const int64_t S = 256, E = effective_span(z, R, S);
      CAPTURE(z);
      CAPTURE(R);
      Tape tape;
      const Tensor m = span_mask(tape, spans({z}), S, R).value().clone();
      for (int64_t j = 0; j < S - E; ++j) {
        CHECK(m.data()[j] == 0);
        CHECK(ramp_of(z, j, S, R) < 0);
      }
      std::vector<float> dm(static_cast<size_t>(S));
      std::fill_n(dm.begin(), S - E, 1.0f);
      CHECK(span_gradient(z, R, dm) == 0);
      dm[static_cast<size_t>(S - E)] = 1;
      CHECK(span_gradient(z, R, dm) == doctest::Approx(1.0 / static_cast<double>(R)));
    }
  }
}

TEST_CASE("the effective span is at least one step and at most the limit") {
  CHECK(effective_span(0, 32, 1024) == 33);
  CHECK(effective_span(0.5f, 32, 1024) == 33);
  CHECK(effective_span(1, 32, 1024) == 34);
  CHECK(effective_span(1000, 32, 1024) == 1024);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(effective_span(kInfinity, 32, 1024) == 1024);
  CHECK(effective_span(-kInfinity, 32, 1024) == 1);
  CHECK(effective_span(std::numeric_limits<float>::quiet_NaN(), 32, 1024) == 1);
  CHECK(effective_span(8192, 32, 8192) == 8192);
  CHECK(effective_span(0, 32, 8) == 8);
  CHECK(effective_span(-50, 32, 8) == 1);
}

TEST_CASE("a head reaches as far as any of its weights is above 0") {
  CHECK(span_reach(0, 32, 1024) == 32);
  CHECK(span_reach(0.5, 32, 1024) == 33);
  CHECK(span_reach(1, 32, 1024) == 33);
  CHECK(span_reach(1000, 32, 1024) == 1024);
  CHECK(span_reach(0, 32, 8) == 8);
  CHECK(span_reach(std::numeric_limits<double>::quiet_NaN(), 32, 1024) == 1);
  for (float z : {0.0f, 0.25f, 1.0f, 2.75f, 7.0f}) {  // against the mask itself
    Tape tape;
    const Variable m = span_mask(tape, Variable::constant(Tensor::filled({1}, z)), 64, 5);
    const auto weights = m.value().values();
    CHECK(span_reach(z, 5, 64) == std::ranges::count_if(weights, [](float w) { return w > 0; }));
  }
}

TEST_CASE("missing_steps takes the weight from the steps before the stream") {
  constexpr int64_t M = 4, B = 2, E = 3;
  for (int64_t missing : {0, 1, 2, 3}) {
    const Variable score = missing_steps(M, B, E, missing);
    CHECK_FALSE(score.requires_grad());
    CHECK(score.shape() == Shape{M, B, E});
    for (int64_t i = 0; i < M * B * E; ++i) {
      const int64_t t = i / (B * E), j = i % E;
      CHECK(score.value().data()[i] == (t + j < missing ? -1e30f : 0));
    }
  }
}

TEST_CASE("a span mask without columns, without a ramp, or of spans in columns throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(span_mask(tape, spans({1}), 0, 4),
                       "[span_mask] expected E and R of at least 1; got 0 and 4", Error);
  CHECK_THROWS_WITH_AS(span_mask(tape, spans({1}), 3, 0),
                       "[span_mask] expected E and R of at least 1; got 3 and 0", Error);
  CHECK_THROWS_WITH_AS(span_mask(tape, spans({1, 2}), 3, 4),
                       "[span_mask] expected spans [1] or [M,B,1]; got [2]", Error);
  const auto constant = [](Shape shape) { return Variable::constant(Tensor::zeros(shape)); };
  CHECK_THROWS_WITH_AS(span_mask(tape, constant({4, 2, 2}), 3, 4),
                       "[span_mask] expected spans [1] or [M,B,1]; got [4, 2, 2]", Error);
  CHECK_THROWS_WITH_AS(span_mask(tape, constant({}), 3, 4),
                       "[span_mask] expected spans [1] or [M,B,1]; got []", Error);
}

TEST_CASE("spans of another type than f32 throw") {
  Tape tape;
  const Variable half = Variable::constant(Tensor::zeros({1}, DType::bf16));
  CHECK_THROWS_WITH_AS(span_mask(tape, half, 3, 4),
                       "[span_mask] expected a value of type f32; got bf16 [1]", Error);
}

}  // namespace adaspan
