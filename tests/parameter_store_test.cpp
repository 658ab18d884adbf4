// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/models/parameter_store.h"

using namespace adaspan;

namespace {

struct Moments {
  double mean, deviation, largest;
};

Moments moments(const Parameter& p) {
  double sum = 0, squares = 0, largest = 0;
  for (float x : p.value().values()) {
    sum += x;
    squares += static_cast<double>(x) * x;
    largest = std::max<double>(largest, std::abs(x));
  }
  const auto n = static_cast<double>(p.value().elements());
  return {sum / n, std::sqrt(squares / n), largest};
}

}  // namespace

TEST_CASE("parameters start as their initialiser says") {
  ParameterStore store(1);
  const Moments normal = moments(store.add("n", {100, 400}, Initialiser::normal(2)));
  CHECK(normal.mean == doctest::Approx(0).epsilon(0.05));
  CHECK(normal.deviation == doctest::Approx(2).epsilon(0.02));
  const Moments uniform = moments(store.add("u", {100, 400}, Initialiser::fan_in(16)));
  CHECK(uniform.mean == doctest::Approx(0).epsilon(0.01));
  CHECK(uniform.deviation == doctest::Approx(0.25 / std::sqrt(3.0)).epsilon(0.02));
  CHECK(uniform.largest <= 0.25);
  CHECK(uniform.largest > 0.249);
  CHECK(moments(store.add("c", {3}, Initialiser::constant(-4))).deviation == 4);
  CHECK(store.elements() == 80003);
}

TEST_CASE("each parameter has a stream of its own") {
  ParameterStore store(1);
  const Parameter& a = store.add("a", {8}, Initialiser::normal(1));
  const Parameter& b = store.add("b", {8}, Initialiser::normal(1));
  CHECK(a.value().data()[0] != b.value().data()[0]);
}

TEST_CASE("a name can be taken once") {
  ParameterStore store(1);
  store.add("a", {1}, Initialiser::constant(0));
  CHECK_THROWS_WITH_AS(store.add("a", {1}, Initialiser::constant(0)),
                       doctest::Contains("[parameters]"), Error);
}
