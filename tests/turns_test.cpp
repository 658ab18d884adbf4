// SPDX-License-Identifier: MIT
#include "app/bench/turns.h"

#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace adaspan {

TEST_CASE("of several turns the best counts, and the spread is how far the worst lies from it") {
  Turns turns;
  turns.add(2);
  CHECK(turns.best() == 2);
  CHECK(turns.spread() == 0);
  turns.add(2.4);  // neither first nor last
  turns.add(1.6);
  CHECK(turns.best() == 1.6);
  CHECK(turns.spread() == doctest::Approx(0.5));
}

TEST_CASE("what is short is called several times, what is long once, and the fastest counts") {
  int calls = 0;
  const auto sleep = [&](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  const double shortest = fastest([&] { sleep(++calls == 2 ? 1 : 4); });
  CHECK(calls >= 2);
  CHECK(shortest >= 0.001);
  CHECK(shortest < 0.004);
  calls = 0;
  CHECK(fastest([&] { ++calls, sleep(11); }) >= 0.011);
  CHECK(calls == 1);
}

TEST_CASE("a machine is called disturbed when either side moved by more than a tenth") {
  CHECK(disturbance(0.1, "a step", 0.1).is_null());
  const auto said = [](double peak, double step) {
    return disturbance(peak, "a step", step).get<std::string>();
  };
  CHECK(
      said(0.11, 0).starts_with("the machine was disturbed: between turns the peak moved by 11%, "
                                "a step by 0%"));
  CHECK(said(0, 0.25).find("the peak moved by 0%, a step by 25%") != std::string::npos);
}

}  // namespace adaspan
