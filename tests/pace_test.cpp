// SPDX-License-Identifier: MIT
#include "adaspan/train/run/pace.h"

#include <doctest/doctest.h>

namespace adaspan {
namespace {

using doctest::Approx;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Pace::Clock::time_point kStart{};

TEST_CASE("a pace is that of all steps in the first half minute") {
  Pace pace(100, kStart);
  CHECK(pace.at(110, kStart + seconds(5)) == Approx(2));
  CHECK(pace.at(160, kStart + seconds(20)) == Approx(3));
}

TEST_CASE("a pace is that of the last half minute, whatever was before") {
  Pace pace(0, kStart);
  int64_t step = 0;
  for (int64_t s = 1; s <= 100; ++s) pace.at(step += 10, kStart + seconds(s));
  for (int64_t s = 101; s <= 160; ++s) pace.at(step += 1, kStart + seconds(s));
  CHECK(pace.at(step, kStart + seconds(160)) == Approx(1));
}

TEST_CASE("a pause that is over is forgotten") {
  Pace pace(0, kStart);
  pace.at(1, kStart + seconds(1));
  CHECK(pace.at(2, kStart + seconds(601)) < 0.01);  // it was asleep for ten minutes
  int64_t step = 2;
  for (int64_t s = 602; s <= 640; ++s) pace.at(++step, kStart + seconds(s));
  CHECK(pace.at(step, kStart + seconds(640)) == Approx(1));
}

TEST_CASE("many steps a second count as well") {
  Pace pace(0, kStart);
  double last = 0;
  for (int64_t i = 1; i <= 100'000; ++i) last = pace.at(i, kStart + milliseconds(i));
  CHECK(last == Approx(1000).epsilon(0.01));
}

}  // namespace
}  // namespace adaspan
