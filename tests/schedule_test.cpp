// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "adaspan/core/error.h"
#include "adaspan/train/run/training_config.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;
using enum ScheduleShape;

constexpr ScheduleShape kShapes[] = {flat, cosine, inverse_sqrt, linear};

TrainingConfig config_of(ScheduleShape shape, int64_t warmup, int64_t total, double least = 0) {
  TrainingConfig c;
  c.schedule = {.learning_rate = 0.07, .warmup = warmup, .shape = shape, .least_share = least};
  c.run.total_steps = total;
  return c;
}

TEST_CASE("during warm-up every shape rises as the flat one does, bit for bit") {
  for (ScheduleShape shape : kShapes) {
    const TrainingConfig c = config_of(shape, 40, 200);
    for (int64_t step = 1; step <= 40; ++step) {
      CHECK(learning_rate_at(step, c) == 0.07 * (static_cast<double>(step) / 40));
    }
  }
}

TEST_CASE("the flat shape is that of before") {
  for (int64_t warmup : {0, 40}) {
    const TrainingConfig c = config_of(flat, warmup, 200);
    for (int64_t step : {1, 39, 40, 41, 200, 500}) {
      CHECK(learning_rate_at(step, c) == learning_rate_at(step, 0.07, warmup));
    }
  }
}

TEST_CASE("after warm-up the shapes are their formulas, in other words") {
  constexpr int64_t W = 40, N = 200;
  for (int64_t step = W + 1; step <= N; ++step) {
    CAPTURE(step);
    const double left = static_cast<double>(N - step) / (N - W);  // 1 - u
    const double half = std::sin(std::numbers::pi / 2 * left);    // cos a = 1 - 2 sin^2(a / 2)
    for (double m : {0.0, 0.1}) {
      CHECK(learning_rate_at(step, config_of(cosine, W, N, m)) ==
            Approx(0.07 * (m + (1 - m) * half * half)).epsilon(1e-12));
      CHECK(learning_rate_at(step, config_of(linear, W, N, m)) ==
            Approx(0.07 * (left + m * (1 - left))).epsilon(1e-12));
    }
    CHECK(learning_rate_at(step, config_of(inverse_sqrt, W, N)) ==
          Approx(0.07 * std::exp(0.5 * (std::log(W) - std::log(step)))).epsilon(1e-12));
  }
}

TEST_CASE("cosine and linear end at the least share exactly, and stay there") {
  for (ScheduleShape shape : {cosine, linear}) {
    for (double m : {0.0, 0.1, 1.0}) {
      for (int64_t warmup : {0, 40}) {
        const TrainingConfig c = config_of(shape, warmup, 200, m);
        CHECK(learning_rate_at(200, c) == m * 0.07);
        CHECK(learning_rate_at(5000, c) == m * 0.07);
      }
    }
  }
}

TEST_CASE("the rate never rises after warm-up, nor jumps where that ends") {
  for (ScheduleShape shape : kShapes) {
    const TrainingConfig c = config_of(shape, 40, 2000);
    for (int64_t step = 41; step <= 2000; ++step) {
      CHECK(learning_rate_at(step, c) <= learning_rate_at(step - 1, c));
    }
    CHECK(learning_rate_at(41, c) > 0.98 * 0.07);
  }
}

TEST_CASE("a run no longer than its warm-up only rises") {
  for (ScheduleShape shape : kShapes) {
    CHECK(learning_rate_at(30, config_of(shape, 40, 30)) == 0.07 * 0.75);
  }
}

TEST_CASE("factors of stages multiply") {
  TrainingConfig plain = config_of(cosine, 10, 100), staged = plain;
  staged.schedule.stages = {{60, false, 1}, {40, false, 0.1}};
  CHECK(learning_rate_at(60, staged) == learning_rate_at(60, plain));
  CHECK(learning_rate_at(61, staged) == Approx(0.1 * learning_rate_at(61, plain)));
}

TEST_CASE("schedules that make no sense are refused") {
  const auto refused = [](const TrainingConfig& c, const char* text) {
    CHECK_THROWS_WITH_AS(check(c), Contains(text), Error);
  };
  refused(config_of(inverse_sqrt, 0, 10), "[settings] expected schedule.warmup of at least 1 with");
  refused(config_of(cosine, 0, 10, 1.1), "expected schedule.least_share from 0 to 1; got 1.1");
  refused(config_of(cosine, 0, 10, -0.1), "expected schedule.least_share from 0 to 1; got -0.1");
  for (ScheduleShape shape : {flat, inverse_sqrt}) {
    refused(config_of(shape, 5, 10, 0.1), "with schedule.shape cosine or linear, which end there");
  }
  CHECK_NOTHROW(check(config_of(inverse_sqrt, 1, 10)));
  CHECK_NOTHROW(check(config_of(linear, 0, 10, 0.1)));
}

}  // namespace
}  // namespace adaspan
