// SPDX-License-Identifier: MIT
#include "adaspan/train/optim/weight_average.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

Tensor copy_of(WeightAverage& average, size_t i = 0) {
  return average.state()[i].second->clone();
}

void set(Parameter& p, uint64_t seed) {
  const Tensor values = random_tensor(p.shape(), seed);
  std::ranges::copy(values.values(), p.value().data());
}

TEST_CASE("an average is the weighted sum of its start and of what followed") {
  constexpr double D = 0.7;
  Parameter p("p", random_tensor({2, 3}, 1));
  WeightAverage average({&p}, D);
  Array expected(p.value());
  // Of weights w_0 .. w_n, each with the product of the decays after it.
  std::vector<Tensor> seen;
  for (int t = 1; t <= 30; ++t) {
    set(p, static_cast<uint64_t>(t) + 1);
    seen.push_back(p.value().clone());
    average.update();
  }
  for (int64_t i = 0; i < expected.elements(); ++i) {
    double sum = 0, later = 1;  // later: the product of the decays after w_t
    for (int t = 30; t >= 1; --t) {
      const double d = std::min(D, (1.0 + t) / (10.0 + t));
      sum += later * (1 - d) * seen[static_cast<size_t>(t) - 1].data()[i];
      later *= d;
    }
    expected[i] = sum + later * expected[i];
  }
  CHECK(relative_distance(copy_of(average), expected) < 1e-6);
  CHECK(average.updates() == 30);
  CHECK(average.state()[0].first == "ema.p");
}

TEST_CASE("an average of values within bounds is within them, whatever rounding does") {
  constexpr float kMost = 0.7f;  // a + (w - a) may round to more than w
  for (double D : {1e-9, 0.5, 0.9999}) {
    Parameter p("p", Tensor::filled({1000}, 0.3f), Bounds{-kMost, kMost});
    WeightAverage average({&p}, D);
    for (int t = 0; t < 50; ++t) {
      const Tensor values = random_tensor({1000}, static_cast<uint64_t>(t), -1.5, 1.5);
      for (int64_t i = 0; i < 1000; ++i) {
        p.value().data()[i] = std::clamp(values.data()[i], -kMost, kMost);
      }
      average.update();
      for (float a : copy_of(average).values()) CHECK(std::abs(a) <= kMost);
    }
  }
}

TEST_CASE("any number of threads gives the same average") {
  const auto averaged = [](int count) {
    set_threads(count);
    Parameter p("p", random_tensor({100000}, 1));
    WeightAverage average({&p}, 0.9);
    for (uint64_t t = 2; t < 6; ++t) {
      set(p, t);
      average.update();
    }
    set_threads(1);
    return copy_of(average);
  };
  const Tensor one = averaged(1);
  for (int count : {2, 3}) CHECK(same_bits(averaged(count), one));
}

TEST_CASE("it begins anew with the weights of now") {
  Parameter p("p", random_tensor({5}, 1));
  WeightAverage average({&p}, 0.9);
  set(p, 2);
  average.update();
  average.restart();
  CHECK(average.updates() == 0);
  CHECK(same_bits(copy_of(average), p.value()));
}

TEST_CASE("averaging changes nothing of a training, and follows it") {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  const auto trainer = [&](double average) {
    s.optimizer.average = average;
    return Trainer(s, 7, random_stream(300, 7, 1), random_stream(300, 7, 2));
  };
  Trainer plain = trainer(0), averaged = trainer(0.9);
  CHECK(plain.average() == nullptr);
  for (int i = 0; i < 5; ++i) CHECK(plain.step().loss == averaged.step().loss);
  CHECK(same_weights(weights(plain), weights(averaged)));
  CHECK(averaged.average()->updates() == 5);
  size_t i = 0;
  for (const Parameter* p : averaged.model().parameters().all()) {
    const Tensor average = copy_of(*averaged.average(), i++);
    CHECK(average.shape() == p->shape());
    CHECK_FALSE(same_bits(average, p->value()));
  }
}

TEST_CASE("decays out of range are refused") {
  TrainingConfig s = tiny_config();
  for (double decay : {-0.1, 1.0}) {
    s.optimizer.average = decay;
    CHECK_THROWS_WITH_AS(check(s), Contains("expected optimizer.average from 0 (none) to below 1"),
                         Error);
  }
}

}  // namespace
}  // namespace adaspan
