// SPDX-License-Identifier: MIT
#include "adaspan/models/memory_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/random.h"
#include "tests/support/memory_values.h"

namespace adaspan {
namespace {

/// [steps, 1, 2] with values first, first + 1, ...
Value run_of(int64_t steps, float first, DType type = DType::f32) {
  Tensor t({steps, 1, 2});
  std::iota(t.data(), t.data() + t.elements(), first);
  return share(t.converted(type));
}

/// Values too large to be joined: [steps, 1, 2^19], 2 MB a step, each step filled with its number.
Value large(int64_t steps, float first) {
  Tensor t({steps, 1, 1 << 19});
  for (int64_t i = 0; i < steps; ++i) {
    std::fill_n(t.data() + (i << 19), 1 << 19, first + static_cast<float>(i));
  }
  return share(std::move(t));
}

std::vector<float> values(const LayerMemory& memory) {
  const Tensor all = values_of({memory}).converted(DType::f32);
  return {all.values().begin(), all.values().end()};
}

/// The number of each step of a memory of large values.
std::vector<float> numbers(const LayerMemory& memory) {
  std::vector<float> list;
  for (const MemorySegment& segment : memory.segments()) {
    for (int64_t i = 0; i < segment.steps; ++i) {
      list.push_back(segment.value->data()[(segment.begin + i) << 19]);
    }
  }
  return list;
}

TEST_CASE("memory keeps the newest steps of what was and what came") {
  const LayerMemory old = LayerMemory(1, 2).extended(run_of(2, 0), 2);
  const Value x = run_of(3, 10);
  CHECK(values(old.extended(x, 4)) == std::vector<float>{2, 3, 10, 11, 12, 13, 14, 15});
  CHECK(values(old.extended(x, 3)) == std::vector<float>{10, 11, 12, 13, 14, 15});
  CHECK(values(old.extended(x, 1)) == std::vector<float>{14, 15});
  CHECK(values(old.extended(x, 0)).empty());
  CHECK(old.steps() == 2);  // as it was
}

TEST_CASE("memory is shorter than asked for while there is no more to remember") {
  const Memory nothing = empty_memory(2, 1, 2);
  CHECK(nothing.size() == 2);
  CHECK(nothing[1].shape() == Shape{0, 1, 2});
  const LayerMemory one = nothing[0].extended(run_of(3, 0), 100);
  CHECK(one.shape() == Shape{3, 1, 2});
  CHECK(one.extended(run_of(3, 6), 100).shape() == Shape{6, 1, 2});
  CHECK(one.extended(run_of(3, 6), 4).shape() == Shape{4, 1, 2});
}

TEST_CASE("memory has the type of its values") {
  const LayerMemory nothing(1, 2, DType::bf16);
  CHECK(nothing.type() == DType::bf16);
  const LayerMemory one = nothing.extended(run_of(3, 0, DType::bf16), 2);
  CHECK(one.type() == DType::bf16);
  CHECK(values_of({one}).type() == DType::bf16);
  CHECK(values(one) == std::vector<float>{2, 3, 4, 5});
}

TEST_CASE("a memory in bf16 rounds what comes in f32") {
  const Value x = share(Tensor::of({1, 1, 2}, std::vector<float>{1.00390625f, -3}));
  const LayerMemory one = LayerMemory(1, 2, DType::bf16).extended(x, 5);
  CHECK(one.type() == DType::bf16);
  CHECK(values(one) == std::vector<float>{1, -3});  // 1 + 2^-8 lies between two, the even one wins
}

TEST_CASE("the parts of a batch lie side by side, however their steps are cut") {
  Tensor all({5, 4, 3});
  std::iota(all.data(), all.data() + all.elements(), 0.0f);
  std::vector<LayerMemory> parts(2, LayerMemory(2, 3));
  extend_side_by_side(parts, all.clone());
  CHECK(parts[1].shape() == Shape{5, 2, 3});
  CHECK(values(parts[1])[0] == 6);
  CHECK(side_by_side(parts) == all.shape());
  const Tensor back = values_of(parts);
  CHECK(std::ranges::equal(back.values(), all.values()));

  std::vector<LayerMemory> whole(1, LayerMemory(4, 3));
  extend_side_by_side(whole, all.clone());
  CHECK(std::ranges::equal(values_of(whole).values(), all.values()));

  // Large steps, which are not joined: each part in other segments.
  std::vector<LayerMemory> cut(2, LayerMemory(1, 1 << 19));
  for (int i = 0; i < 3; ++i) cut[0] = cut[0].extended(large(2, static_cast<float>(2 * i)), 6);
  for (int i = 0; i < 2; ++i) cut[1] = cut[1].extended(large(3, static_cast<float>(3 * i)), 6);
  const Tensor both = values_of(cut);
  CHECK(both.shape() == Shape{6, 2, 1 << 19});
  for (int64_t i = 0; i < 12; ++i) CHECK(both.data()[i << 19] == static_cast<float>(i / 2));
}

TEST_CASE("blocks that are kept whole are shared, and let go when they are out of reach") {
  LayerMemory memory(1, 1 << 19);
  std::vector<std::weak_ptr<const Tensor>> blocks;
  for (int i = 0; i < 5; ++i) {
    const Value x = large(2, static_cast<float>(2 * i));
    blocks.push_back(x);
    const size_t before = pool_use().in_use;
    memory = memory.extended(x, 6);
    CHECK(pool_use().in_use <= before);  // nothing was copied
  }
  CHECK(memory.segments().size() == 3);
  CHECK(numbers(memory) == std::vector<float>{4, 5, 6, 7, 8, 9});
  for (size_t i = 0; i < 5; ++i) CHECK(blocks[i].expired() == (i < 2));
}

TEST_CASE("a block of which little is kept is not held") {
  const size_t before = pool_use().in_use;
  LayerMemory memory(1, 1 << 19);
  memory = memory.extended(large(4, 0), 1);
  CHECK(numbers(memory) == std::vector<float>{3});
  CHECK(pool_use().in_use <= before + (size_t{3} << 20));  // one step of 2 MB
  memory = memory.extended(large(4, 4), 3);
  CHECK(numbers(memory) == std::vector<float>{5, 6, 7});
  CHECK(pool_use().in_use <= before + (size_t{9} << 20));  // of 4 steps 3 are kept: shared
  memory = memory.extended(large(2, 8), 4);
  CHECK(numbers(memory) == std::vector<float>{6, 7, 8, 9});
  CHECK(pool_use().in_use <= before + (size_t{9} << 20));  // 2 of 4 steps copied
}

TEST_CASE("any steps one after another are remembered, in few segments if they are small") {
  uint64_t place = 0;
  const auto number = [&](uint64_t below) {
    return static_cast<int64_t>(random_bits({.seed = 1}, place++) % below);
  };
  LayerMemory memory(1, 2);
  std::vector<float> expected;
  float next = 0;
  for (int i = 0; i < 400; ++i) {
    const int64_t steps = i < 200 ? 1 : number(5), length = i < 200 ? 150 : number(300);
    const Value x = run_of(steps, next);
    for (float v : x->values()) expected.push_back(v);
    next += static_cast<float>(2 * steps);
    const auto kept = std::min<size_t>(expected.size(), static_cast<size_t>(2 * length));
    expected.erase(expected.begin(), expected.end() - static_cast<int64_t>(kept));
    memory = memory.extended(x, length);
    REQUIRE(values(memory) == expected);
    CHECK(memory.segments().size() <= 10);
  }
}

}  // namespace
}  // namespace adaspan
