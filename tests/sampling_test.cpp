// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/sampling.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"

namespace adaspan {
namespace {

using Row = std::vector<float>;
using Probabilities = std::vector<double>;

Row random_log_p(size_t V, uint64_t seed) {
  Row x(V);
  double sum = 0;
  for (size_t v = 0; v < V; ++v) {
    x[v] = static_cast<float>(4 * random_normal({.seed = seed}, v));
    sum += std::exp(double{x[v]});
  }
  for (float& one : x) one -= static_cast<float>(std::log(sum));
  return x;
}

/// What each token is drawn with, its rank counted one token against all others.
Probabilities directly(const Row& log_p, const SamplingOptions& o) {
  const size_t V = log_p.size();
  Probabilities p(V);
  const auto scale = [&] {
    double sum = 0;
    for (double x : p) sum += x;
    for (double& x : p) x /= sum;
  };
  for (size_t v = 0; v < V; ++v) p[v] = std::pow(std::exp(double{log_p[v]}), 1 / o.temperature);
  scale();
  const auto before = [](const Probabilities& all, size_t v) {  // those that come first: count, sum
    int64_t count = 0;
    double sum = 0;
    for (size_t u = 0; u < all.size(); ++u) {
      if (all[u] > all[v] || (all[u] == all[v] && u < v)) ++count, sum += all[u];
    }
    return std::pair(count, sum);
  };
  Probabilities last = p;
  for (size_t v = 0; v < V; ++v) {
    if (o.top_k > 0 && before(last, v).first >= o.top_k) p[v] = 0;
  }
  scale();
  last = p;
  for (size_t v = 0; v < V; ++v) {
    if (before(last, v).second >= o.top_p) p[v] = 0;
  }
  scale();
  last = p;
  for (size_t v = 0; v < V; ++v) {
    if (last[v] < o.min_p * *std::max_element(last.begin(), last.end())) p[v] = 0;
  }
  scale();
  return p;
}

TEST_CASE("each filter, alone and together, leaves what a direct computation leaves") {
  const std::vector<SamplingOptions> all = {
      {.temperature = 1},
      {.temperature = 0.5},
      {.temperature = 3},
      {.temperature = 1, .top_k = 1},
      {.temperature = 1, .top_k = 7},
      {.temperature = 1, .top_k = 1000},
      {.temperature = 1, .top_p = 0.5},
      {.temperature = 1, .top_p = 0.97},
      {.temperature = 1, .top_p = 1e-9},
      {.temperature = 1, .min_p = 0.05},
      {.temperature = 1, .min_p = 1},
      {.temperature = 2, .top_k = 20, .top_p = 0.9, .min_p = 0.1},
      {.temperature = 0.7, .top_k = 5, .top_p = 0.99, .min_p = 0.01}};
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Row log_p = random_log_p(40, seed);
    for (const SamplingOptions& o : all) {
      CAPTURE(o.temperature);
      CAPTURE(o.top_k);
      CAPTURE(o.top_p);
      CAPTURE(o.min_p);
      const Probabilities found = sampling_probabilities(log_p, o), expected = directly(log_p, o);
      for (size_t v = 0; v < log_p.size(); ++v) {
        CHECK(found[v] == doctest::Approx(expected[v]).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("of equally likely tokens the first ones are left") {
  const Row log_p(10, static_cast<float>(std::log(0.1)));
  Probabilities three(10, 0);
  std::fill_n(three.begin(), 3, 1.0 / 3);
  const auto close = [&](const SamplingOptions& o, const Probabilities& expected) {
    const Probabilities found = sampling_probabilities(log_p, o);
    for (size_t v = 0; v < 10; ++v) CHECK(found[v] == doctest::Approx(expected[v]));
  };
  close({.temperature = 1, .top_k = 3}, three);
  close({.temperature = 1, .top_p = 0.25}, three);
  close({.temperature = 1, .min_p = 0.99}, Probabilities(10, 0.1));
  close({.temperature = 0}, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("tokens are drawn as often as they are likely, and none that was left out") {
  const Probabilities p = {0.2, 0, 0.5, 0.3, 0};
  std::vector<int> count(p.size(), 0);
  constexpr int kDraws = 20'000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    count[static_cast<size_t>(draw(p, random_uniform({.seed = 1}, i)))] += 1;
  }
  for (size_t v = 0; v < p.size(); ++v) {
    CHECK(std::abs(count[v] - kDraws * p[v]) <= 5 * std::sqrt(kDraws * p[v]));
  }
  CHECK(draw(p, 0) == 0);
  CHECK(draw(p, std::nextafter(1.0, 0.0)) == 3);
  CHECK(draw(Probabilities{0, 0.3, 0.3, 0}, 0.9) == 2);  // where rounding lost some
}

TEST_CASE("sampling out of range, and what is no probability, is refused") {
  const auto refused = [](const SamplingOptions& o, const char* text) {
    CHECK_THROWS_WITH_AS(check(o), doctest::Contains(text), Error);
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  refused({.temperature = -1}, "generate.temperature of at least 0; got -1");
  refused({.temperature = kNan}, "generate.temperature of at least 0; got nan");
  refused({.top_k = -1}, "generate.top_k of at least 0; got -1");
  refused({.top_p = 0}, "generate.top_p above 0 and at most 1; got 0");
  refused({.top_p = 1.5}, "generate.top_p above 0 and at most 1; got 1.5");
  refused({.min_p = 2}, "generate.min_p from 0 to 1; got 2");
  CHECK_NOTHROW(check(SamplingOptions{}));
  CHECK_THROWS_WITH_AS(sampling_probabilities(Row{0, std::nanf("")}, {}),
                       doctest::Contains("expected a probability for each token; got nan"), Error);
}

}  // namespace
}  // namespace adaspan
