// SPDX-License-Identifier: MIT
#include "adaspan/train/run/text_blocks.h"

#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using doctest::Approx;

/// Of n - 1 scored tokens, each with the loss that `loss` gives its position.
template <class Loss>
TextBlocks blocks(int64_t n, const Loss& loss) {
  TextBlocks all(n);
  for (int64_t i = 1; i < n; ++i) all.add(i, loss(i));
  return all;
}

TEST_CASE("the standard error weighs blocks by their tokens; the last one takes what is left") {
  // 10,000 tokens of loss 1 and 15,000 of loss 2.
  const MeanAndError found = blocks(25001, [](int64_t i) { return i <= 10000 ? 1 : 2; }).mean();
  CHECK(found.blocks == 2);
  CHECK(found.mean == Approx(1.6));
  const double squares = std::pow(0.4 * (1 - 1.6), 2) + std::pow(0.6 * (2 - 1.6), 2);
  CHECK(*found.standard_error == Approx(std::sqrt(2 * squares)));
}

TEST_CASE("of equal blocks it is the deviation over the root of their number") {
  const MeanAndError found =
      blocks(40001, [](int64_t i) { return static_cast<double>((i - 1) / 10000); }).mean();
  CHECK(found.blocks == 4);
  const double deviation = std::sqrt((2.25 + 0.25 + 0.25 + 2.25) / 3);
  CHECK(*found.standard_error == Approx(deviation / 2));
}

TEST_CASE("a text of fewer than two blocks has none") {
  const TextBlocks all = blocks(20000, [](int64_t i) { return i % 2; });  // 19,999 scored
  CHECK(all.mean().mean == Approx(0.5).epsilon(1e-4));
  CHECK(all.mean().blocks == 1);
  CHECK_FALSE(all.mean().standard_error.has_value());
  CHECK(blocks(20001, [](int64_t) { return 1.0; }).mean().blocks == 2);
  CHECK(all.tokens() == 19999);
  CHECK(all.nats() == 10000);
}

TEST_CASE("blocks of which nothing was scored do not count") {
  TextBlocks all(40001);
  all.add(1, 1);
  all.add(30001, 3);
  CHECK(all.mean().blocks == 2);
  CHECK(all.mean().mean == 2);
  CHECK(*all.mean().standard_error == Approx(1));
  CHECK(TextBlocks().mean().blocks == 0);
}

TEST_CASE("a difference is as sure as its own blocks agree, however much the text varies") {
  const auto loss = [](int64_t i) { return static_cast<double>(i / 10000); };
  const TextBlocks a = blocks(30001, loss);
  const TextBlocks b = blocks(30001, [&](int64_t i) { return loss(i) + 0.25; });
  CHECK(a.mean_difference(b).mean == Approx(-0.25));
  CHECK(*a.mean_difference(b).standard_error == Approx(0));
  CHECK(*a.mean().standard_error > 0.5);
}

TEST_CASE("losses of other tokens cannot be compared") {
  TextBlocks a(30001), b(30001);
  a.add(1, 1);
  b.add(20000, 1);
  CHECK_THROWS_WITH_AS(a.mean_difference(b),
                       doctest::Contains("[eval] expected the same tokens of both models"), Error);
}

}  // namespace
}  // namespace adaspan
