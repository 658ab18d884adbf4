// SPDX-License-Identifier: MIT
#include "adaspan/core/tensor.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

}  // namespace

TEST_CASE("const means const, and a copy is asked for by name") {
  static_assert(std::is_same_v<decltype(std::declval<const Tensor&>().data()), const float*>);
  static_assert(std::is_same_v<decltype(std::declval<Tensor&>().data()), float*>);
  static_assert(!std::is_copy_constructible_v<Tensor> && !std::is_copy_assignable_v<Tensor>);
  static_assert(std::is_nothrow_move_constructible_v<Tensor>);
}

TEST_CASE("a default tensor is no tensor at all, a tensor without elements is one") {
  CHECK(Tensor().empty());
  CHECK(Tensor().elements() == 0);
  CHECK(Tensor().clone().empty());
  CHECK_FALSE(Tensor(Shape{0, 3}).empty());
  CHECK(Tensor(Shape{0, 3}).values().empty());
}

TEST_CASE("zeros and filled hold one value everywhere") {
  {
    const Tensor filled = Tensor::filled(Shape{3, 5}, 2.5f);
    for (float value : filled.values()) CHECK(value == 2.5f);
  }
  // The buffer of the tensor above is now used again.
  const Tensor zeros = Tensor::zeros(Shape{3, 5});
  for (float value : zeros.values()) CHECK(value == 0);
  const Tensor ids = Tensor::zeros(Shape{3}, DType::i32);
  for (int32_t id : ids.values<int32_t>()) CHECK(id == 0);
}

TEST_CASE("a tensor knows its shape, type and size") {
  const Tensor tensor(Shape{2, 3}, DType::i32);
  CHECK(tensor.shape() == Shape{2, 3});
  CHECK(tensor.type() == DType::i32);
  CHECK(tensor.elements() == 6);
  CHECK(tensor.bytes() == 24);
  CHECK(tensor.values<int32_t>().size() == 6);
  CHECK(std::string(name(DType::f32)) == "f32");
  CHECK(std::string(name(DType::i32)) == "i32");
}

TEST_CASE("a tensor of given values holds them in row-major order") {
  const Tensor tensor = Tensor::of(Shape{2, 3}, kSix);
  CHECK(values_of(tensor) == kSix);
  CHECK(tensor.data()[1 * 3 + 2] == 6);
  const std::vector<int32_t> ids = {-1, 0, std::numeric_limits<int32_t>::max()};
  const Tensor of_ids = Tensor::of(Shape{3}, ids);
  CHECK(of_ids.type() == DType::i32);
  CHECK(std::vector<int32_t>(of_ids.values<int32_t>().begin(), of_ids.values<int32_t>().end()) ==
        ids);
}

TEST_CASE("a wrong number of values throws") {
  CHECK_THROWS_WITH_AS(Tensor::of(Shape{2, 2}, kSix),
                       "[tensor] expected 4 values for shape [2, 2]; got 6", Error);
  CHECK_THROWS_AS(Tensor::of(Shape{7}, kSix), Error);
}

TEST_CASE("a negative extent throws") {
  CHECK_THROWS_WITH_AS(Tensor(Shape{2, -3}),
                       "[tensor] expected extents of at least 0; got shape [2, -3]", Error);
  CHECK_THROWS_AS(Tensor(Shape{-2, -3}), Error);
  CHECK_THROWS_AS(Tensor(Shape{0, -3}), Error);
}

TEST_CASE("a size beyond all memory throws instead of wrapping around") {
  constexpr int64_t kHuge = int64_t{1} << 32;
  CHECK_THROWS_WITH_AS(Tensor(Shape{kHuge, kHuge}),
                       doctest::Contains("[tensor] expected fewer than 2^63 bytes"), Error);
  CHECK_THROWS_AS(Tensor(Shape{int64_t{1} << 62}), Error);
}

TEST_CASE("a clone has the same values in its own memory") {
  const Tensor tensor = Tensor::of(Shape{2, 3}, kSix);
  Tensor clone = tensor.clone();
  CHECK(clone.shape() == tensor.shape());
  CHECK(values_of(clone) == kSix);
  clone.data()[0] = 9;
  CHECK(tensor.data()[0] == 1);
  CHECK(Tensor(Shape{2}, DType::i32).clone().type() == DType::i32);
}

TEST_CASE("a moved tensor keeps its memory") {
  Tensor tensor = Tensor::of(Shape{2, 3}, kSix);
  const float* data = tensor.data();
  const Tensor moved = std::move(tensor);
  CHECK(moved.data() == data);
  CHECK(values_of(moved) == kSix);
}

TEST_CASE("reshaped keeps values and memory") {
  Tensor tensor = Tensor::of(Shape{2, 3}, kSix);
  const float* data = tensor.data();
  const Tensor reshaped = std::move(tensor).reshaped(Shape{3, 1, 2});
  CHECK(reshaped.shape() == Shape{3, 1, 2});
  CHECK(reshaped.data() == data);
  CHECK(values_of(reshaped) == kSix);
}

TEST_CASE("reshaping to another number of elements throws and leaves the tensor") {
  Tensor tensor = Tensor::of(Shape{2, 3}, kSix);
  CHECK_THROWS_WITH_AS(std::move(tensor).reshaped(Shape{5}),
                       "[tensor] expected a shape of 6 elements in place of [2, 3]; got [5]",
                       Error);
  CHECK(tensor.shape() == Shape{2, 3});
  CHECK(values_of(tensor) == kSix);
}

TEST_CASE("item is the value of a tensor of one element") {
  CHECK(Tensor::filled(Shape(), 3).item() == 3);
  CHECK(Tensor::filled(Shape{1, 1}, 4).item() == 4);
}

TEST_CASE("item of a tensor of another size throws") {
  CHECK_THROWS_WITH_AS(Tensor::zeros(Shape{2}).item(),
                       "[tensor] expected one element; got shape [2]", Error);
  CHECK_THROWS_AS(Tensor::zeros(Shape{0}).item(), Error);
  CHECK_THROWS_AS(Tensor().item(), Error);
}

}  // namespace adaspan
