// SPDX-License-Identifier: MIT
#include "adaspan/core/shape.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace adaspan {

TEST_CASE("an axis counts from the first, or with a negative number from the last") {
  const Shape shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 2);
  CHECK(shape[2] == 5);
  CHECK(shape[-1] == 5);
  CHECK(shape[-3] == 2);
}

TEST_CASE("an axis that does not exist throws") {
  const Shape shape{2, 3};
  CHECK_THROWS_AS(shape[2], std::out_of_range);
  CHECK_THROWS_AS(shape[-3], std::out_of_range);
  CHECK_THROWS_AS(Shape()[0], std::out_of_range);
  CHECK_THROWS_AS(Shape().with_last(4), std::out_of_range);
}

TEST_CASE("elements is the product of all extents, rows of all but the last") {
  CHECK(Shape{2, 3, 5}.elements() == 30);
  CHECK(Shape{2, 3, 5}.rows() == 6);
  CHECK(Shape{7}.elements() == 7);
  CHECK(Shape{7}.rows() == 1);
  CHECK(Shape{4, 0}.elements() == 0);
  CHECK(Shape{4, 0}.rows() == 4);
  CHECK(Shape{1 << 20, 1 << 20}.elements() == int64_t{1} << 40);
}

TEST_CASE("a scalar has one element and one row") {
  CHECK(Shape().rank() == 0);
  CHECK(Shape().elements() == 1);
  CHECK(Shape().rows() == 1);
}

TEST_CASE("with_last changes the last extent of a copy") {
  const Shape shape{2, 3};
  CHECK(shape.with_last(8) == Shape{2, 8});
  CHECK(shape == Shape{2, 3});
}

TEST_CASE("shapes are equal when all extents are") {
  CHECK(Shape{2, 3} == Shape(std::vector<int64_t>{2, 3}));
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{6} != Shape{6, 1});
  CHECK(Shape{1} != Shape());
}

TEST_CASE("the text of a shape lists its extents") {
  CHECK(Shape{64, 256}.text() == "[64, 256]");
  CHECK(Shape{7}.text() == "[7]");
  CHECK(Shape().text() == "[]");
}

}  // namespace adaspan
