// SPDX-License-Identifier: MIT
#include "adaspan/train/run/span_doctor.h"

#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/error.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

SpanGradients heads(double a, double b) {
  return {{a, b}};
}

/// One layer of two heads, after `steps` steps of the same gradients.
SpanDoctor after(int64_t steps, double a, double b) {
  SpanDoctor doctor;
  for (int64_t i = 0; i < steps; ++i) doctor.add(heads(a, b), {{1, 2}});
  return doctor;
}

TEST_CASE("means are weighted by 0.999 to the power of their age") {
  SpanDoctor doctor;
  double sum = 0, z = 0, weights = 0;
  constexpr int kSteps = 50;
  for (int i = 0; i < kSteps; ++i) {
    const double x = std::sin(i), weight = std::pow(0.999, kSteps - 1 - i);
    doctor.add(heads(x, 3), {{static_cast<float>(i), 1}});
    sum += weight * x;
    z += weight * i;
    weights += weight;
  }
  CHECK(doctor.mean_gradients()[0][0] == Approx(sum / weights).epsilon(1e-10));
  CHECK(doctor.mean_gradients()[0][1] == Approx(3).epsilon(1e-10));
  CHECK(doctor.mean_z()[0][0] == Approx(z / weights).epsilon(1e-10));
  CHECK(doctor.state().steps == kSteps);
}

TEST_CASE("fixed spans leave nothing to tell") {
  SpanDoctor doctor;
  doctor.add({}, {{24, 24}});
  CHECK(doctor.state().steps == 0);
  CHECK_FALSE(doctor.warns(5000, 0));
}

TEST_CASE("it warns where the penalty is over 10 times the loss's gradient in every head") {
  CHECK(after(1000, -1, 1).warns(1000, 10.01));
  CHECK_FALSE(after(1000, -1, 1).warns(1000, 9.99));
  CHECK_FALSE(after(1000, -1, -1).warns(1000, 9.99));
  CHECK_FALSE(after(1000, -1, 1.1).warns(1000, 10.01));  // one head is above
  CHECK_FALSE(after(999, -1, 1).warns(999, 10.01));      // too early to tell
  CHECK_FALSE(after(1000, 0, 0).warns(1000, 0));         // there is no penalty
}

TEST_CASE("it warns again after 10,000 steps and no sooner") {
  SpanDoctor doctor = after(1000, 1, 1);
  CHECK(doctor.warns(1000, 11));
  CHECK_FALSE(doctor.warns(1001, 11));
  CHECK_FALSE(doctor.warns(10999, 11));
  SpanDoctor other;  // as after a resume
  other.restore(doctor.state(), 1, 2);
  CHECK_FALSE(other.warns(10999, 11));
  CHECK(other.warns(11000, 11));
}

TEST_CASE("means of another model are refused") {
  SpanDoctor doctor;
  CHECK_THROWS_WITH_AS(doctor.restore(after(1, 1, 1).state(), 2, 2),
                       Contains("[train] expected the mean span gradients of 2 layers"), Error);
  CHECK_THROWS_AS(doctor.restore(after(1, 1, 1).state(), 1, 3), Error);
  CHECK_NOTHROW(doctor.restore({}, 2, 2));
}

TEST_CASE("what holds a head is told from the two gradients at its end") {
  using enum SpanHold;
  CHECK(hold_of(-1, 2, true, false) == at_zero_by_penalty);
  CHECK(hold_of(0, 2, true, false) == at_zero_by_penalty);
  CHECK(hold_of(1, 2, true, false) == at_zero_by_both);
  CHECK(hold_of(1, 0, true, false) == at_zero_by_loss);
  CHECK(hold_of(-3, 2, true, false) == none);  // it is about to grow
  CHECK(hold_of(-3, 2, false, true) == at_limit_by_loss);
  CHECK(hold_of(-1, 2, false, true) == none);
  CHECK(hold_of(1, 2, false, false) == none);
  CHECK(std::string(name(at_limit_by_loss)) == "held at S by the loss");
  CHECK(std::string(name(none)).empty());
}

TEST_CASE("the penalty of a head is its share of lambda") {
  ModelConfig config = tiny_config(SpanKind::adaptive).model;  // lambda 1e-3, 2 heads
  CHECK(span_penalty(config) == Approx(5e-4));
  config.span_kind = SpanKind::fixed;
  CHECK(span_penalty(config) == 0);
}

TEST_CASE("steps report both gradients, whatever the parts of the batch, and remember them") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    TrainingConfig s = tiny_config(kind);
    const auto first = [&](int64_t split) {
      s.batch.split = split;
      Trainer trainer(s, 7, random_stream(300, 7, 1), random_stream(300, 7, 2));
      StepReport report = trainer.step();
      CHECK(trainer.progress().doctor.steps == (kind == SpanKind::fixed ? 0 : 1));
      return report;
    };
    const StepReport whole = first(1), parts = first(4);
    REQUIRE(whole.span_gradients.size() == (kind == SpanKind::fixed ? 0 : 2));
    CHECK(whole.span_penalty == Approx(kind == SpanKind::fixed ? 0 : 5e-4));
    for (size_t l = 0; l < whole.span_gradients.size(); ++l) {
      for (size_t h : {0, 1}) {
        CHECK(whole.span_gradients[l][h] != 0);
        CHECK(parts.span_gradients[l][h] == Approx(whole.span_gradients[l][h]).epsilon(1e-3));
      }
    }
  }
}

}  // namespace
}  // namespace adaspan
