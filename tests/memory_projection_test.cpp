// SPDX-License-Identifier: MIT
#include "adaspan/ops/memory_projection.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"
#include "tests/support/bf16_ops.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

using MemorySteps = std::vector<int64_t>;
using Segments = std::vector<MemorySegment>;

Segments whole(Tensor memory) {
  const int64_t steps = memory.shape()[0];
  return {{share(std::move(memory)), 0, steps}};
}

/// The same steps in segments of these lengths, each within a larger value.
Segments cut(const Tensor& memory, const std::vector<int64_t>& lengths) {
  Segments segments;
  const int64_t B = memory.shape()[1], H = memory.shape()[2];
  int64_t begin = 0, spare = 1;
  for (int64_t steps : lengths) {
    Tensor value = Tensor::zeros({steps + 2 * spare, B, H}, memory.type());
    with_type(memory.type(), [&]<class T>(T) {
      std::copy_n(memory.data<T>() + begin * B * H, steps * B * H, value.data<T>() + spare * B * H);
    });
    segments.push_back({share(std::move(value)), spare, steps});
    begin += steps;
    spare = 3 - spare;
  }
  CHECK(begin == memory.shape()[0]);
  return segments;
}

/// Of each head the last steps_h steps of the memory times wk_h^T and wv_h^T, side by side.
Array projection_of(const Array& memory, const Array& wk, const Array& wv,
                    const MemorySteps& memory_steps) {
  const int64_t C = memory.shape()[0], B = memory.shape()[1], H = memory.shape()[2];
  const int64_t D = wk.shape()[0] / static_cast<int64_t>(memory_steps.size());
  Array y({std::accumulate(memory_steps.begin(), memory_steps.end(), int64_t{0}), B, 2 * D});
  int64_t row = 0, head = 0;
  for (int64_t steps : memory_steps) {
    for (int64_t c = C - steps; c < C; ++c, ++row) {
      for (int64_t b = 0; b < B; ++b) {
        for (int64_t d = 0; d < D; ++d) {
          for (int64_t i = 0; i < H; ++i) {
            y(row, b, d) += memory(c, b, i) * wk(head * D + d, i);
            y(row, b, D + d) += memory(c, b, i) * wv(head * D + d, i);
          }
        }
      }
    }
    ++head;
  }
  return y;
}

Op projection(const Segments& memory, const MemorySteps& memory_steps) {
  return [=](Tape& tape, const Variables& w) {
    return memory_projection(tape, memory, w[0], w[1], memory_steps);
  };
}

void check_projection(const Shape& memory_shape, int64_t D, const MemorySteps& memory_steps,
                      const CheckOptions& options = {}) {
  const Tensor memory = random_tensor(memory_shape, 1);
  const Array exact(memory);
  const int64_t rows = static_cast<int64_t>(memory_steps.size()) * D;
  check_op(
      projection(whole(memory.clone()), memory_steps),
      [&](const Arrays& w) { return projection_of(exact, w[0], w[1], memory_steps); },
      {random_tensor({rows, memory_shape[2]}, 2), random_tensor({rows, memory_shape[2]}, 3)},
      options);
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
  Parameter wk("wk", random_tensor({6, 4}, 2)), wv("wv", random_tensor({6, 4}, 3));
  Tape tape;
  const Variable y = memory_projection(tape, whole(random_tensor({6, 2, 4}, 1)), wk.variable(),
                                       wv.variable(), {2, 0, 3});
  CHECK(y.shape() == Shape{5, 2, 4});
  tape.entries()[0].backward(Tensor::filled(y.shape(), 1));
  for (const Parameter* w : {&wk, &wv}) {
    for (int64_t i = 2 * 4; i < 4 * 4; ++i) CHECK(w->grad().data()[i] == 0);
    CHECK(w->grad().data()[0] != 0);
    CHECK(w->grad().data()[4 * 4] != 0);
  }
}

TEST_CASE("a memory of no steps, or heads that all look no step back, give no keys") {
  for (int64_t C : {0, 6}) {
    Parameter wk("wk", random_tensor({4, 4}, 2)), wv("wv", random_tensor({4, 4}, 3));
    Tape tape;
    const Variable y = memory_projection(tape, whole(Tensor::zeros({C, 2, 4})), wk.variable(),
                                         wv.variable(), {0, 0});
    CHECK(y.shape() == Shape{0, 2, 4});
    tape.entries()[0].backward(Tensor::zeros(y.shape()));
    for (float d : wk.grad().values()) CHECK(d == 0);
    for (float d : wv.grad().values()) CHECK(d == 0);
  }
}

TEST_CASE("gradients are added to what the weights have") {
  Parameter wk("wk", random_tensor({6, 4}, 2)), wv("wv", random_tensor({6, 4}, 3));
  std::vector<Tensor> once;
  for (int times : {1, 2}) {
    Tape tape;
    const Variable y = memory_projection(tape, whole(random_tensor({6, 2, 4}, 1)), wk.variable(),
                                         wv.variable(), {2, 0, 3});
    tape.entries()[0].backward(random_tensor(y.shape(), 4));
    for (size_t i : {0, 1}) {
      const Tensor& sum = (i == 0 ? wk : wv).grad();
      if (times == 1) once.push_back(sum.clone());
      for (int64_t j = 0; j < sum.elements(); ++j) {
        CHECK(sum.data()[j] == static_cast<float>(times) * once[i].data()[j]);
      }
    }
  }
}

TEST_CASE("thousands of steps are the same for any number of threads") {
  check_projection({1500, 3, 8}, 4, {1500, 700}, {.samples = 10});
}

TEST_CASE("segments are one contiguous memory, bit for bit") {
  const MemorySteps memory_steps{700, 33, 0, 512};
  for (DType type : types_that_run()) {
    for (int64_t B : {3, 64}) {  // pieces of 341 steps, and of 16
      const Tensor memory = random_tensor({700, B, 24}, 1).converted(type);
      std::vector<Tensor> w;
      for (uint64_t seed : {2, 3}) w.push_back(random_tensor({4 * 6, 24}, seed));
      const auto run = [&](const Segments& segments) {
        const Op op = projection(segments, memory_steps);
        if (type == DType::f32) return run_op(op, w);
        return run_op([&](Tape& tape, const Variables& x) { return widened(tape, op(tape, x)); },
                      w);
      };
      const OpResult one = run(whole(memory.clone()));
      for (const auto& lengths : std::vector<std::vector<int64_t>>{
               {188, 256, 256}, {0, 700}, {1, 2, 3, 4, 690}, {699, 1}, {100, 0, 100, 500}}) {
        const OpResult parts = run(cut(memory, lengths));
        CHECK(same_bits(parts.y, one.y));
        for (size_t i : {0, 1}) CHECK(same_bits(parts.gradients[i], one.gradients[i]));
      }
    }
  }
}

TEST_CASE("heads that all look back over the whole memory are a plain linear map of it") {
  const Tensor memory = random_tensor({7, 2, 6}, 1);
  const Variable wk = Variable::constant(random_tensor({6, 6}, 2));
  const Variable wv = Variable::constant(random_tensor({6, 6}, 3));
  Tape tape(Tape::Mode::evaluation);
  const Variable x = Variable::constant(memory.clone());
  const Variable k = linear(tape, x, wk), v = linear(tape, x, wv);
  const auto head = [&](int64_t begin) {
    return concat_columns(tape,
                          {slice_columns(tape, k, begin, 3), slice_columns(tape, v, begin, 3)});
  };
  const Variable heads = concat_steps(tape, {head(0), head(3)});
  const Variable y = memory_projection(tape, whole(memory.clone()), wk, wv, {7, 7});
  CHECK(relative_distance(y.value(), Array(heads.value())) < 1e-6);
}

TEST_CASE("a bf16 memory gives what its widened values give, rounded" *
          doctest::skip(!bf16_can_run())) {
  const MemorySteps memory_steps{70, 33};
  const Tensor memory = random_tensor({70, 4, 32}, 1).converted(DType::bf16);
  std::vector<Tensor> w;
  for (uint64_t seed : {2, 3}) w.push_back(on_bf16_grid(random_tensor({16, 32}, seed)));
  const Op half = [&](Tape& tape, const Variables& x) {
    return widened(tape, memory_projection(tape, whole(memory.clone()), x[0], x[1], memory_steps));
  };
  const OpResult found = run_op(half, w);
  const OpResult wide = run_op(projection(whole(memory.converted(DType::f32)), memory_steps), w);
  // y is rounded once, and so is dy, of which the weights' gradients are exact but for f32 sums.
  CHECK(relative_distance(found.y, Array(wide.y)) < 0x1p-8);
  CHECK(relative_distance(found.y, Array(wide.y)) > 0x1p-12);
  for (size_t i : {0, 1}) {
    CHECK(relative_distance(found.gradients[i], Array(wide.gradients[i])) < 0x1p-8);
  }
  check_threads(half, w);
}

TEST_CASE("a bf16 memory with all else in f32 is projected as its rounded values") {
  // Heads and segments of several pieces: 1024 rows make one.
  for (const auto& [B, steps] : {std::pair{2, MemorySteps{3, 5}}, {64, MemorySteps{33, 20}}}) {
    const int64_t C = std::ranges::max(steps);
    const Tensor rounded = random_tensor({C, B, 9}, 1).converted(DType::bf16);
    const Array exact(rounded.converted(DType::f32));
    for (const Segments& memory : {whole(rounded.clone()), cut(rounded, {2, C - 2})}) {
      const auto project = [&memory, &steps = steps](Tape& tape, const Variables& w) {
        return memory_projection(tape, memory, w[0], w[1], steps, DType::f32);
      };
      check_op(project,
               [&, &own = steps](const Arrays& w) { return projection_of(exact, w[0], w[1], own); },
               {random_tensor({6, 9}, 2), random_tensor({6, 9}, 3)});
    }
  }
}

TEST_CASE("a result of a type that the memory cannot give throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(memory_projection(tape, whole(Tensor::zeros({5, 2, 4})), zeros({4, 4}),
                                         zeros({4, 4}), {1}, DType::bf16),
                       "[memory_projection] expected a result of the memory's type, or f32 from "
                       "bf16; got bf16 from f32",
                       Error);
}

TEST_CASE("a memory and weights that do not fit throw") {
  Tape tape;
  const auto project = [&](Shape memory, Shape wk, Shape wv, const MemorySteps& memory_steps) {
    memory_projection(tape, whole(Tensor::zeros(std::move(memory))), zeros(std::move(wk)),
                      zeros(std::move(wv)), memory_steps);
  };
  const std::string expected =
      "[memory_projection] expected memory [C,B,H] and wk and wv [K*D,H] for ";
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 3}, {4, 3}, {1, 1}),
                       (expected + "2 heads; got [5, 2, 4], [4, 3] and [4, 3]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 4}, {4, 3}, {1, 1}),
                       (expected + "2 heads; got [5, 2, 4], [4, 4] and [4, 3]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 4}, {4, 4}, {1, 1, 1}),
                       (expected + "3 heads; got [5, 2, 4], [4, 4] and [4, 4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4, 4}, {4, 4}, {}),
                       (expected + "0 heads; got [5, 2, 4], [4, 4] and [4, 4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({5, 2, 4}, {4}, {4}, {1}),
                       (expected + "1 heads; got [5, 2, 4], [4] and [4]").c_str(), Error);
  CHECK_THROWS_WITH_AS(
      memory_projection(tape, whole(Tensor::zeros({5, 2, 4})),
                        Variable::constant(Tensor::zeros({4, 4}, DType::bf16)), zeros({4, 4}), {1}),
      "[memory_projection] expected weights of type f32; got bf16 and f32", Error);
}

TEST_CASE("segments that do not fit each other throw") {
  Tape tape;
  const auto project = [&](const Segments& memory) {
    memory_projection(tape, memory, zeros({4, 4}), zeros({4, 4}), {1});
  };
  const auto segment = [](Shape shape, int64_t begin, int64_t steps, DType type = DType::f32) {
    return MemorySegment{share(Tensor::zeros(std::move(shape), type)), begin, steps};
  };
  CHECK_THROWS_WITH_AS(project({}), "[memory_projection] expected at least one segment; got none",
                       Error);
  const std::string expected = "[memory_projection] expected segments [.,B,H] of one type; got ";
  CHECK_THROWS_WITH_AS(project({segment({5, 4}, 0, 5)}),
                       (expected + "[5, 4] f32 and [5, 4] f32").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({segment({5, 2, 4}, 0, 5), segment({5, 3, 4}, 0, 5)}),
                       (expected + "[5, 2, 4] f32 and [5, 3, 4] f32").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({segment({5, 2, 4}, 0, 5), segment({5, 2, 4}, 0, 5, DType::bf16)}),
                       (expected + "[5, 2, 4] f32 and [5, 2, 4] bf16").c_str(), Error);
  CHECK_THROWS_WITH_AS(project({segment({5, 2, 4}, 2, 4)}),
                       "[memory_projection] expected a segment within 5 steps; got 4 from 2",
                       Error);
  CHECK_THROWS_WITH_AS(project({segment({5, 2, 4}, -1, 4)}),
                       "[memory_projection] expected a segment within 5 steps; got 4 from -1",
                       Error);
}

TEST_CASE("a number of steps that the memory does not have throws") {
  Tape tape;
  const Segments memory = cut(Tensor::zeros({5, 2, 4}), {3, 2});
  const auto project = [&](const MemorySteps& memory_steps) {
    memory_projection(tape, memory, zeros({4, 4}), zeros({4, 4}), memory_steps);
  };
  CHECK_THROWS_WITH_AS(project({5, 6}),
                       "[memory_projection] expected memory steps in [0, 5]; got 6", Error);
  CHECK_THROWS_WITH_AS(project({5, -1}),
                       "[memory_projection] expected memory steps in [0, 5]; got -1", Error);
}

}  // namespace adaspan
