// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "models/memory_cache.h"

using namespace adaspan;

namespace {

/// [steps, 1, 2] with values first, first + 1, ...
Value run_of(int64_t steps, float first) {
  Tensor t({steps, 1, 2});
  std::iota(t.data(), t.data() + t.elements(), first);
  return share(std::move(t));
}

std::vector<float> values(const Value& v) {
  return {v->values().begin(), v->values().end()};
}

}  // namespace

TEST_CASE("memory keeps the newest steps of what was and what came") {
  const Value old = run_of(2, 0), x = run_of(3, 10);
  CHECK(values(extend_memory(old, x, 4)) == std::vector<float>{2, 3, 10, 11, 12, 13, 14, 15});
  CHECK(values(extend_memory(old, x, 3)) == std::vector<float>{10, 11, 12, 13, 14, 15});
  CHECK(values(extend_memory(old, x, 1)) == std::vector<float>{14, 15});
}

TEST_CASE("memory is shorter than asked for while there is no more to remember") {
  const Memory nothing = empty_memory(1, 1, 2);
  const Value one = extend_memory(nothing[0], run_of(3, 0), 100);
  CHECK(one->shape() == Shape{3, 1, 2});
  CHECK(extend_memory(one, run_of(3, 6), 100)->shape() == Shape{6, 1, 2});
  CHECK(extend_memory(one, run_of(3, 6), 4)->shape() == Shape{4, 1, 2});
}
