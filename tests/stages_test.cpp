// SPDX-License-Identifier: MIT
#include "adaspan/train/run/stages.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "adaspan/core/error.h"
#include "adaspan/train/run/training_config.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

TEST_CASE("stages are written down and read again") {
  const Stages stages{{150, true, 1}, {20000, false, 0.1}, {7, false, 1e-7}, {1, true, 2.5}};
  CHECK(text_of(stages) == "150r@1,20000@0.1,7@1e-07,1r@2.5");
  CHECK(stages_from(text_of(stages)) == stages);
  CHECK(text_of({}).empty());
  CHECK(stages_from("") == Stages{});
  CHECK(stages_from("5,20r@0.1") == Stages{{5, false, 1}, {20, true, 0.1}});
}

TEST_CASE("what is no text of stages is none") {
  for (const char* text : {",",     "5,",
                           ",5",    "5,,6",
                           "five",  "5 ",
                           "5@",    "5@x",
                           "@1",    "r",
                           "r@1",   "5rr",
                           "0",     "0r@1",
                           "-5",    "5@0",
                           "5@-1",  "5@inf",
                           "5@nan", "5.5",
                           "5@1x",  "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(stages_from(text).has_value());
  }
}

TEST_CASE("a step falls into its stage, and after all of them into the last") {
  const Stages stages{{3, true, 1}, {4, false, 0.5}, {2, false, 0.1}};  // to 6, 10, 12
  CHECK(total_steps(stages, 2) == 12);
  const auto is = [&](int64_t step, int64_t run_steps, int64_t index, int64_t within, int64_t of,
                      double factor) {
    CAPTURE(step);
    const StagePlace place = stage_at(stages, /*steps_per_round=*/2, run_steps, step);
    CHECK(place.index == index);
    CHECK(place.step == within);
    CHECK(place.steps == of);
    CHECK(place.lr_factor == factor);
  };
  is(0, 12, 0, 0, 6, 1);
  is(1, 12, 0, 1, 6, 1);
  is(6, 12, 0, 6, 6, 1);
  is(7, 12, 1, 1, 4, 0.5);
  is(10, 12, 1, 4, 4, 0.5);
  is(11, 12, 2, 1, 2, 0.1);
  is(12, 12, 2, 2, 2, 0.1);
  is(8, 9, 1, 2, 3, 0.5);  // a run that ends before
  is(4, 5, 0, 4, 5, 1);
  is(30, 40, 2, 20, 30, 0.1);  // and one that goes on
  is(12, 5, 2, 2, 2, 0.1);     // and one that went further than it is now to
}

TEST_CASE("a run without stages is one") {
  const StagePlace place = stage_at({}, 2, 40, 30);
  CHECK(place.index == 0);
  CHECK(place.step == 30);
  CHECK(place.steps == 40);
  CHECK(place.lr_factor == 1);
  CHECK(total_steps({}, 2) == 0);
}

TEST_CASE("the learning rate falls by the stage's factor, and warm-up goes by all updates") {
  TrainingConfig c;
  c.schedule = {.learning_rate = 0.5, .warmup = 8, .stages = {{2, true, 1}, {6, false, 0.1}}};
  c.run.steps_per_round = 2;
  c.run.total_steps = 10;
  CHECK(learning_rate_at(1, c) == Approx(0.5 / 8));
  CHECK(learning_rate_at(4, c) == Approx(0.5 * 4 / 8));
  CHECK(learning_rate_at(5, c) == Approx(0.05 * 5 / 8));  // not from the beginning again
  CHECK(learning_rate_at(9, c) == Approx(0.05));
  c.schedule.stages.clear();
  CHECK(learning_rate_at(9, c) == 0.5);
}

TEST_CASE("stages that no run can have are refused") {
  const auto refused = [](const Stage& stage, const char* message) {
    TrainingConfig c;
    c.schedule.stages = {{1, false, 1}, stage};
    CHECK_THROWS_WITH_AS(check(c), Contains(message), Error);
  };
  refused({0, false, 1}, "[settings] expected schedule.stages of lengths of at least 1; got 0");
  refused({5, false, 0}, "[settings] expected schedule.stages with factors above 0; got 0");
  refused({5, false, std::numeric_limits<double>::infinity()},
          "[settings] expected schedule.stages to be lengths of at least 1 and factors above 0");
  const int64_t largest = std::numeric_limits<int64_t>::max();
  refused({4294967294, false, 1},
          "[settings] expected schedule.stages of less than 4294967295 steps "
          "together; got 1@1,4294967294@1");
  refused({4294968, true, 1}, "of less than 4294967295 steps together");
  refused({largest, true, 1}, "of less than 4294967295 steps together");
  refused({largest, false, 1}, "of less than 4294967295 steps together");
  TrainingConfig c;
  c.schedule.stages = {{1, false, 1}, {4294967293, false, 1}};
  CHECK_NOTHROW(check(c));
}

}  // namespace
}  // namespace adaspan
