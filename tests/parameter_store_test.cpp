// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

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
  const Moments normal = moments(store.add("n", 0, {100, 400}, Initialiser::normal(2)));
  CHECK(normal.mean == doctest::Approx(0).epsilon(0.05));
  CHECK(normal.deviation == doctest::Approx(2).epsilon(0.02));
  const Moments uniform = moments(store.add("u", 1, {100, 400}, Initialiser::fan_in(16)));
  CHECK(uniform.mean == doctest::Approx(0).epsilon(0.01));
  CHECK(uniform.deviation == doctest::Approx(0.25 / std::sqrt(3.0)).epsilon(0.02));
  CHECK(uniform.largest <= 0.25);
  CHECK(uniform.largest > 0.249);
  CHECK(moments(store.add("c", 2, {3}, Initialiser::constant(-4))).deviation == 4);
  CHECK(store.elements() == 80003);
}

TEST_CASE("a parameter's numbers are those of its site, whatever else there is") {
  ParameterStore store(1), other(1);
  const Parameter& a = store.add("a", 5, {8}, Initialiser::normal(1));
  const Parameter& b = store.add("b", 7, {8}, Initialiser::normal(1));
  CHECK(a.value().data()[0] != b.value().data()[0]);
  const Parameter& same = other.add("other", 7, {8}, Initialiser::normal(1));
  CHECK(std::ranges::equal(same.value().values(), b.value().values()));
}

TEST_CASE("a name and a site can be taken once") {
  ParameterStore store(1);
  store.add("a", 0, {1}, Initialiser::constant(0));
  CHECK_THROWS_WITH_AS(store.add("a", 1, {1}, Initialiser::constant(0)),
                       "[parameters] expected distinct names; got a twice", Error);
  CHECK_THROWS_WITH_AS(store.add("b", 0, {1}, Initialiser::constant(0)),
                       "[parameters] expected distinct sites of random numbers; got 0 twice, the "
                       "second time for b; give it one of its own",
                       Error);
}

TEST_CASE("a store tells of a parameter before it makes it") {
  std::vector<std::string> told;
  ParameterStore store(1, [&](const std::string& name, const Shape& shape) {
    told.push_back(name + shape.text());
    if (name == "huge") throw std::length_error("too large");
  });
  store.add("a", 1, {2, 3}, Initialiser::constant(0));
  CHECK_THROWS_AS(store.add("huge", 2, {int64_t{1} << 40}, Initialiser::constant(0)),
                  std::length_error);
  CHECK(told == std::vector<std::string>{"a[2, 3]", "huge[1099511627776]"});
  CHECK(store.elements() == 6);
}
