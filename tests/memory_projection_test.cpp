// SPDX-License-Identifier: MIT
#include "ops/memory_projection.h"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "core/error.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

using Reaches = std::vector<int64_t>;

/// The last reach_h steps of the memory times w_h^T, one head after another.
Array projection_of(const Array& memory, const Array& w, const Reaches& reaches) {
  const int64_t C = memory.shape()[0], B = memory.shape()[1], H = memory.shape()[2];
  const int64_t D = w.shape()[0] / static_cast<int64_t>(reaches.size());
  Array y({std::accumulate(reaches.begin(), reaches.end(), int64_t{0}), B, D});
  int64_t row = 0, head = 0;
  for (int64_t reach : reaches) {
    for (int64_t c = C - reach; c < C; ++c, ++row) {
      for (int64_t b = 0; b < B; ++b) {
        for (int64_t d = 0; d < D; ++d) {
          for (int64_t i = 0; i < H; ++i) y(row, b, d) += memory(c, b, i) * w(head * D + d, i);
        }
      }
    }
    ++head;
  }
  return y;
}

void check_projection(const Shape& memory_shape, int64_t D, const Reaches& reaches,
                      const CheckOptions& options = {}) {
  const Value memory = share(random_tensor(memory_shape, 1));
  const Array exact(*memory);
  const int64_t K = static_cast<int64_t>(reaches.size());
  check_op([&](Tape& tape,
               const Variables& x) { return memory_projection(tape, memory, x[0], reaches); },
           [&](const Arrays& x) { return projection_of(exact, x[0], reaches); },
           {random_tensor({K * D, memory_shape[2]}, 2)}, options);
}

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("each head projects the end of the memory, as far back as it looks") {
  check_projection({6, 2, 8}, 4, {3, 5});
  check_projection({6, 2, 9}, 3, {6, 0, 1});
  check_projection({6, 1, 8}, 8, {4});
}

TEST_CASE("a head that does not look back gets nothing, and its weights get zero gradients") {
  const Value memory = share(random_tensor({6, 2, 4}, 1));
  Parameter w("w", random_tensor({6, 4}, 2));
  Tape tape;
  const Variable y = memory_projection(tape, memory, w.variable(), {2, 0, 3});
  CHECK(y.shape() == Shape{5, 2, 2});
  tape.entries()[0].backward(Tensor::filled(y.shape(), 1));
  for (int64_t i = 2 * 4; i < 4 * 4; ++i) CHECK(w.grad().data()[i] == 0);
  CHECK(w.grad().data()[0] != 0);
  CHECK(w.grad().data()[4 * 4] != 0);
}

TEST_CASE("a memory of no steps, or heads that all look no step back, give no keys") {
  for (int64_t C : {0, 6}) {
    Parameter w("w", random_tensor({4, 4}, 2));
    Tape tape;
    const Variable y =
        memory_projection(tape, share(Tensor::zeros({C, 2, 4})), w.variable(), {0, 0});
    CHECK(y.shape() == Shape{0, 2, 2});
    tape.entries()[0].backward(Tensor::zeros(y.shape()));
    for (float d : w.grad().values()) CHECK(d == 0);
  }
}

TEST_CASE("thousands of steps are the same for any number of threads") {
  check_projection({1500, 3, 8}, 4, {1500, 700}, {.samples = 10});
}

TEST_CASE("heads that all look back over the whole memory are a plain linear map of it") {
  const Value memory = share(random_tensor({7, 2, 6}, 1));
  const Variable w = Variable::constant(random_tensor({6, 6}, 2));
  Tape tape(Tape::Mode::evaluation);
  const Variable all = linear(tape, Variable(memory, nullptr), w);
  const Variable heads =
      concat_steps(tape, {slice_columns(tape, all, 0, 3), slice_columns(tape, all, 3, 3)});
  const Variable y = memory_projection(tape, memory, w, {7, 7});
  CHECK(relative_distance(y.value(), Array(heads.value())) < 1e-6);
}

TEST_CASE("a memory and weights that do not fit throw") {
  Tape tape;
  const auto project = [&](Shape memory, Shape w, const Reaches& reaches) {
    memory_projection(tape, share(Tensor::zeros(memory)), zeros(w), reaches);
  };
  const std::string expected = "[memory_projection] expected memory [C,B,H] and w [K*D,H] for ";
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 3}, {1, 1}),
                       (expected + "2 heads; got [5, 2, 4] and [4, 3]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 4}, {1, 1, 1}),
                       (expected + "3 heads; got [5, 2, 4] and [4, 4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 4}, {}),
                       (expected + "0 heads; got [5, 2, 4] and [4, 4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 4}, {4, 4}, {1}),
                       (expected + "1 heads; got [5, 4] and [4, 4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4}, {1}),
                       (expected + "1 heads; got [5, 2, 4] and [4]").c_str(), Error);
}

TEST_CASE("a reach that the memory does not have throws") {
  Tape tape;
  const Value memory = share(Tensor::zeros({5, 2, 4}));
  CHECK_THROWS_WITH_AS(memory_projection(tape, memory, zeros({4, 4}), {5, 6}),
                       "[memory_projection] expected reaches in [0, 5]; got 6", Error);
  CHECK_THROWS_WITH_AS(memory_projection(tape, memory, zeros({4, 4}), {5, -1}),
                       "[memory_projection] expected reaches in [0, 5]; got -1", Error);
}

}  // namespace adaspan
