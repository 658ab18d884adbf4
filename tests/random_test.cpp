// SPDX-License-Identifier: MIT
#include "adaspan/core/random.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>
#include <set>
#include <utility>
#include <vector>

namespace adaspan {
namespace {

using Counter = std::array<uint32_t, 4>;

constexpr uint64_t kDraws = 200'000;

/// Mean of f(number i) over kDraws numbers. Draws are fixed by their key, so these tests cannot
/// fail by bad luck; the bounds are 4 standard errors.
template <class F>
double mean(const F& f) {
  double sum = 0;
  for (uint64_t i = 0; i < kDraws; ++i) sum += f(i);
  return sum / kDraws;
}

bool within(double found, double expected, double deviation) {
  return std::abs(found - expected) < 4 * deviation / std::sqrt(double{kDraws});
}

}  // namespace

TEST_CASE("philox gives the numbers published with Random123") {
  constexpr uint32_t kOnes = 0xffffffff;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("every part of a key makes another stream") {
  const std::vector<RandomKey> keys = {
      {1, Purpose::dropout, 2, 3},
      {2, Purpose::dropout, 2, 3},
      {uint64_t{1} << 32 | 1, Purpose::dropout, 2, 3},
      {1, Purpose::initialisation, 2, 3},
      {1, Purpose::data_offset, 2, 3},
      {1, Purpose::sampling, 2, 3},
      {1, Purpose::benchmark, 2, 3},
      {1, Purpose::dropout, 3, 3},
      {1, Purpose::dropout, 2, 4},
      {1, Purpose::dropout, 2, (1 << 24) - 1},
  };
  constexpr uint64_t kGroups = 1000;
  std::set<Counter> groups;
  for (const RandomKey& key : keys) {
    for (uint64_t i = 0; i < kGroups; ++i) groups.insert(random_group(key, i));
  }
  CHECK(groups.size() == keys.size() * kGroups);
}

TEST_CASE("a stream does not repeat after 2^32 groups") {
  const RandomKey key{.seed = 5};
  CHECK(random_group(key, uint64_t{1} << 32) != random_group(key, 0));
}

TEST_CASE("a number is a function of its key and place") {
  const RandomKey key{7, Purpose::dropout, 11, 13};
  for (uint64_t i = 0; i < 100; ++i) {
    CHECK(random_bits(key, i) == random_group(key, i / 4)[i % 4]);
    CHECK(random_uniform(key, i) == random_bits(key, i) / 4294967296.0);
    // Box-Muller: a point of the plane, of which the first coordinate is taken.
    const Counter group = random_group(key, i);
    const double radius = std::sqrt(-2 * std::log((group[0] + 1.0) / 4294967296.0));
    const double turns = group[1] / 4294967296.0;
    CHECK(random_normal(key, i) ==
          doctest::Approx(std::polar(radius, turns * 2 * std::numbers::pi).real()));
  }
}

TEST_CASE("uniform numbers have the moments of the uniform distribution on [0, 1)") {
  const RandomKey key{.seed = 1, .purpose = Purpose::benchmark};
  const auto u = [&](uint64_t i) { return random_uniform(key, i); };
  for (uint64_t i = 0; i < kDraws; ++i) REQUIRE((u(i) >= 0 && u(i) < 1));
  CHECK(within(mean(u), 0.5, std::sqrt(1 / 12.0)));
  CHECK(within(mean([&](uint64_t i) { return u(i) * u(i); }), 1 / 3.0, std::sqrt(4 / 45.0)));
  const auto product = [&](uint64_t lag) {
    return mean([&](uint64_t i) { return (u(i) - 0.5) * (u(i + lag) - 0.5); });
  };
  for (uint64_t lag : {1, 2, 3, 4}) CHECK(within(product(lag), 0, 1 / 12.0));
}

TEST_CASE("uniform numbers fill all of 16 equal cells alike") {
  const RandomKey key{.seed = 2};
  std::array<double, 16> counts{};
  for (uint64_t i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(16 * random_uniform(key, i))];
  double chi_squared = 0;
  for (double count : counts) chi_squared += std::pow(count - kDraws / 16.0, 2) / (kDraws / 16.0);
  CHECK(chi_squared < 37.7);  // exceeded once in 1000 seeds
}

TEST_CASE("normal numbers have the moments of the standard normal distribution") {
  const RandomKey key{.seed = 3};
  const auto power = [&](int exponent) {
    return mean([&](uint64_t i) { return std::pow(random_normal(key, i), exponent); });
  };
  CHECK(within(power(1), 0, 1));
  CHECK(within(power(2), 1, std::sqrt(2.0)));
  CHECK(within(power(3), 0, std::sqrt(15.0)));
  CHECK(within(power(4), 3, std::sqrt(96.0)));
}

TEST_CASE(
    "normal numbers have the tails of the standard normal distribution, and are independent") {
  const RandomKey key{.seed = 4};
  const auto x = [&](uint64_t i) { return random_normal(key, i); };
  for (const auto& [bound, share] : {std::pair{1.0, 0.3173105}, {2.0, 0.0455003}}) {
    const double found = mean([&, b = bound](uint64_t i) { return std::abs(x(i)) > b ? 1 : 0; });
    CHECK(within(found, share, std::sqrt(share * (1 - share))));
  }
  for (uint64_t lag : {1, 4}) {
    CHECK(within(mean([&](uint64_t i) { return x(i) * x(i + lag); }), 0, 1));
  }
}

}  // namespace adaspan
