// SPDX-License-Identifier: MIT
#include "adaspan/ops/linear.h"

#include <doctest/doctest.h>

#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layout.h"
#include "tests/support/bf16_ops.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

/// x w^T (+ b), for x of any rank.
Array product(const Array& x, const Array& w, const Array* b) {
  const int64_t out = w.shape()[0], in = w.shape()[1];
  Array y(x.shape().with_last(out));
  for (int64_t r = 0; r < x.shape().rows(); ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = b ? (*b)(o) : 0;
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * w(o, i);
      y[r * out + o] = sum;
    }
  }
  return y;
}

Array relu_of(Array y) {
  for (int64_t i = 0; i < y.elements(); ++i) y[i] = off_kink(y[i], 0) > 0 ? y[i] : 0 * y[i];
  return y;
}

/// All features of linear at once: two stacked weights, bias, residual, relu and dropout.
struct Everything {
  Tensor x, w1, w2, b, r;
  Dropout mask{.rate = 0.4f,
               .key = {.seed = 3, .purpose = Purpose::dropout, .step = 5, .site = 2},
               .first_sequence = 1,
               .batch = 6};

  explicit Everything(int64_t M, int64_t B = 4, int64_t in = 48)
      : x(on_bf16_grid(random_tensor({M, B, in}, 1))),
        w1(on_bf16_grid(random_tensor({10, in}, 2))),
        w2(on_bf16_grid(random_tensor({23, in}, 3))),
        b(random_tensor({33}, 4)),
        r(on_bf16_grid(random_tensor({M, B, 33}, 5))) {}

  std::vector<Tensor> inputs() const {
    std::vector<Tensor> all;
    for (const Tensor* t : {&x, &w1, &w2, &b, &r}) all.push_back(t->clone());
    return all;
  }
  LinearOptions options(const Variable& residual) const {
    return {.activation = Activation::relu, .dropout = mask, .residual = residual};
  }
  Op op() const {
    return [this](Tape& tape, const Variables& v) {
      return linear(tape, v[0], {v[1], v[2]}, v[3], options(v[4]));
    };
  }
  Op bf16_op() const {
    return [this](Tape& tape, const Variables& v) {
      return widened(tape, linear(tape, narrowed(tape, v[0]), {v[1], v[2]}, v[3],
                                  options(narrowed(tape, v[4]))));
    };
  }
};

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("linear without a bias is x w^T") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1]); },
           [](const Arrays& x) { return product(x[0], x[1], nullptr); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2)});
}

TEST_CASE("linear with a bias is x w^T + b") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], x[2]); },
           [](const Arrays& x) { return product(x[0], x[1], &x[2]); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2), random_tensor({4}, 3)});
}

TEST_CASE("linear with relu lets through what is above zero, with and without a bias") {
  const LinearOptions relu{.activation = Activation::relu};
  check_op([&](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], x[2], relu); },
           [](const Arrays& x) { return relu_of(product(x[0], x[1], &x[2])); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2), random_tensor({4}, 3)});
  check_op([&](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], {}, relu); },
           [](const Arrays& x) { return relu_of(product(x[0], x[1], nullptr)); },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2)});
}

TEST_CASE("linear of thousands of rows, whose sums are taken in chunks") {
  check_op([](Tape& tape, const Variables& x) { return linear(tape, x[0], x[1], x[2]); },
           [](const Arrays& x) { return product(x[0], x[1], &x[2]); },
           {random_tensor({1003, 3, 9}, 1), random_tensor({8, 9}, 2), random_tensor({8}, 3)},
           {.samples = 20});
}

TEST_CASE("linear adds a residual, whose gradient is that of y") {
  check_op([](Tape& tape,
              const Variables& x) { return linear(tape, x[0], x[1], x[2], {.residual = x[3]}); },
           [](const Arrays& x) {
             Array y = product(x[0], x[1], &x[2]);
             for (int64_t i = 0; i < y.elements(); ++i) y[i] += x[3][i];
             return y;
           },
           {random_tensor({5, 3, 7}, 1), random_tensor({4, 7}, 2), random_tensor({4}, 3),
            random_tensor({5, 3, 4}, 4)});
}

TEST_CASE("a value may be the input and the residual at once") {
  check_op([](Tape& tape,
              const Variables& x) { return linear(tape, x[0], x[1], {}, {.residual = x[0]}); },
           [](const Arrays& x) {
             Array y = product(x[0], x[1], nullptr);
             for (int64_t i = 0; i < y.elements(); ++i) y[i] += x[0][i];
             return y;
           },
           {random_tensor({300, 3, 4}, 1), random_tensor({4, 4}, 2)}, {.samples = 30});
}

TEST_CASE("weights stacked on each other are one weight, and have the bits of separate products") {
  const std::vector<Tensor> inputs = [] {
    std::vector<Tensor> list;
    list.push_back(random_tensor({130, 5, 40}, 1));
    for (int64_t rows : {3, 64, 17}) list.push_back(random_tensor({rows, 40}, 2 + list.size()));
    return list;
  }();
  const OpResult together = run_op(
      [](Tape& tape, const Variables& x) {
        return linear(tape, x[0], {x[1], x[2], x[3]});
      },
      inputs);
  check_op(
      [](Tape& tape, const Variables& x) {
        return linear(tape, x[0], {x[1], x[2], x[3]});
      },
      [](const Arrays& x) {
        Array y(x[0].shape().with_last(3 + 64 + 17));
        int64_t begin = 0;
        for (size_t i = 1; i < 4; ++i) {
          const Array part = product(x[0], x[i], nullptr);
          const int64_t n = part.shape()[-1];
          for (int64_t j = 0; j < part.elements(); ++j) y[j / n * 84 + begin + j % n] = part[j];
          begin += n;
        }
        return y;
      },
      inputs, {.samples = 10});
  const OpResult separate = run_op(
      [](Tape& tape, const Variables& x) {
        return concat_columns(
            tape, {linear(tape, x[0], x[1]), linear(tape, x[0], x[2]), linear(tape, x[0], x[3])});
      },
      inputs);
  if (isa() >= Isa::avx512) {  // before that, products add up in an order that width decides
    CHECK(same_bits(together.y, separate.y));
    for (size_t i = 1; i < 4; ++i) CHECK(same_bits(together.gradients[i], separate.gradients[i]));
  }
  // One sum over all columns, not three: other roundings.
  CHECK(relative_distance(together.gradients[0], Array(separate.gradients[0])) < 1e-6);
}

TEST_CASE("dropout in linear is op dropout on its output, bit for bit") {
  const Everything all(70);
  const auto composed = [&](Tape& tape, const Variables& v) {
    const Variable relu =
        linear(tape, v[0], {v[1], v[2]}, v[3], {.activation = Activation::relu, .residual = v[4]});
    return dropout(tape, relu, all.mask);
  };
  const OpResult fused = run_op(all.op(), all.inputs()), apart = run_op(composed, all.inputs());
  CHECK(same_bits(fused.y, apart.y));
  for (size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(same_bits(fused.gradients[i], apart.gradients[i]));
  }
  int64_t zeros = 0;
  for (float y : fused.y.values()) zeros += y == 0;
  CHECK(static_cast<double>(zeros) / static_cast<double>(fused.y.elements()) ==
        doctest::Approx(0.7).epsilon(0.1));  // by relu or dropout
}

TEST_CASE("all of linear at once has the gradients of its parts") {
  const Everything all(6);
  check_op(all.op(),
           [&](const Arrays& x) {
             Array w({33, 48});
             for (int64_t i = 0; i < w.elements(); ++i) w[i] = i < 480 ? x[1][i] : x[2][i - 480];
             Array y = product(x[0], w, &x[3]);
             for (int64_t i = 0; i < y.elements(); ++i) y[i] += x[4][i];
             y = relu_of(y);
             for (int64_t i = 0; i < y.elements(); ++i) {
               const auto number =
                   static_cast<uint64_t>(all.mask.global_row(i / 33, 4) * 33 + i % 33);
               y[i] *= random_bits(all.mask.key, number) >= 0.4 * 0x1p32 ? 1 / 0.6 : 0;
             }
             return y;
           },
           all.inputs(), {.samples = 20});
}

TEST_CASE("linear in bf16 is linear in f32, rounded" * doctest::skip(!bf16_can_run())) {
  const Everything all(70);
  const OpResult wide = run_op(all.op(), all.inputs()), half = run_op(all.bf16_op(), all.inputs());
  // The same products of the same numbers; y is rounded after the sum and after dropout's scale, dy
  // when it comes and after that scale, gradients of bf16 values when they are done: at most 3
  // roundings of 2^-8 each behind a number. They are independent, so the norms are well below that.
  constexpr double kBound = 0x1p-8;
  CHECK(relative_distance(half.y, Array(wide.y)) < kBound);
  CHECK(relative_distance(half.y, Array(wide.y)) > 0x1p-12);  // it was bf16
  for (size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(relative_distance(half.gradients[i], Array(wide.gradients[i])) < kBound);
  }
  check_threads(all.bf16_op(), all.inputs());
}

TEST_CASE("gradients of bf16 values that are used twice are added in f32 and rounded" *
          doctest::skip(!bf16_can_run())) {
  const Tensor x = on_bf16_grid(random_tensor({40, 5, 16}, 1));
  const Tensor w = on_bf16_grid(random_tensor({16, 16}, 2));
  const auto twice = [](Tape& tape, const Variable& v, const Variable& weight) {
    return linear(tape, v, weight, {}, {.residual = linear(tape, v, weight)});
  };
  const auto f32 = [&](Tape& tape, const Variables& v) { return twice(tape, v[0], v[1]); };
  const auto bf16_op = [&](Tape& tape, const Variables& v) {
    return widened(tape, twice(tape, narrowed(tape, v[0]), v[1]));
  };
  std::vector<Tensor> inputs;
  for (const Tensor* t : {&x, &w}) inputs.push_back(t->clone());
  const OpResult wide = run_op(f32, inputs), half = run_op(bf16_op, inputs);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(relative_distance(half.gradients[i], Array(wide.gradients[i])) < 0x1p-8);
  }
}

TEST_CASE("bf16 may go in and f32 come out" * doctest::skip(!bf16_can_run())) {
  const Everything all(70);
  const LinearOptions to_f32{.type = DType::f32};
  const auto op = [&](Tape& tape, const Variables& v) {
    return linear(tape, narrowed(tape, v[0]), v[1], v[2], to_f32);
  };
  std::vector<Tensor> inputs;
  for (const Tensor* t : {&all.x, &all.w2}) inputs.push_back(t->clone());
  inputs.push_back(random_tensor({23}, 4));
  const OpResult half = run_op(op, inputs);
  const OpResult wide =
      run_op([](Tape& tape, const Variables& v) { return linear(tape, v[0], v[1], v[2]); }, inputs);
  CHECK(half.y.type() == DType::f32);
  CHECK(relative_distance(half.y, Array(wide.y)) < 1e-6);  // the same products, summed alike
  // dy is rounded for the products, not for the bias.
  for (size_t i : {0, 1}) {
    CHECK(relative_distance(half.gradients[i], Array(wide.gradients[i])) < 0x1p-8);
  }
  CHECK(same_bits(half.gradients[2], wide.gradients[2]));
  check_threads(op, inputs);
}

TEST_CASE("linear of everything is the same for any number of threads") {
  const Everything all(900);
  check_threads(all.op(), all.inputs());
}

TEST_CASE("a residual's gradient is moved, not copied") {
  Parameter w("w", random_tensor({8, 8}, 1)), r("r", random_tensor({50, 4, 8}, 2));
  Tape tape;
  linear(tape, zeros({50, 4, 8}), w.variable(), {}, {.residual = r.variable()});
  Tensor dy = random_tensor({50, 4, 8}, 3);
  const float* place = dy.data();
  tape.entries()[0].backward(std::move(dy));
  CHECK(r.grad().data() == place);
}

TEST_CASE("the bias gradient of very many rows does not drown in its rounding") {
  constexpr int64_t kRows = 100'000;
  Parameter b("b", Tensor::zeros({3}));
  Tape tape;
  linear(tape, zeros({kRows, 1}), zeros({3, 1}), b.variable());
  tape.entries()[0].backward(Tensor::filled({kRows, 3}, 0.1f));
  for (float d : b.grad().values()) CHECK(d == doctest::Approx(0.1 * kRows).epsilon(1e-5));
}

TEST_CASE("matmul is x w") {
  const auto definition = [](const Arrays& x) {
    const int64_t in = x[1].shape()[0], out = x[1].shape()[1];
    Array y(x[0].shape().with_last(out));
    for (int64_t r = 0; r < x[0].shape().rows(); ++r) {
      for (int64_t o = 0; o < out; ++o) {
        for (int64_t i = 0; i < in; ++i) y[r * out + o] += x[0][r * in + i] * x[1](i, o);
      }
    }
    return y;
  };
  const auto op = [](Tape& tape, const Variables& x) { return matmul(tape, x[0], x[1]); };
  check_op(op, definition, {random_tensor({5, 3, 7}, 1), random_tensor({7, 4}, 2)});
  check_op(op, definition, {random_tensor({7}, 1), random_tensor({7, 1}, 2)});
  check_op(op, definition, {random_tensor({2001, 2, 7}, 1), random_tensor({7, 9}, 2)},
           {.samples = 20});
}

TEST_CASE("matmul of bf16") {
  std::vector<Tensor> inputs;
  inputs.push_back(to_half(random_tensor({40, 3, 70}, 1)));
  inputs.push_back(to_half(random_tensor({70, 50}, 2)).converted(DType::f32));
  check_bf16([](Tape& tape, const Variables& x) { return matmul(tape, x[0], x[1]); }, inputs);
}

TEST_CASE("linear and matmul of no rows have zero weight gradients") {
  Parameter w("w", random_tensor({4, 4}, 1)), b("b", random_tensor({4}, 2));
  Tape tape;
  linear(tape, zeros({0, 3, 4}), w.variable(), b.variable());
  const Variable y = matmul(tape, zeros({0, 3, 4}), w.variable());
  CHECK(y.shape() == Shape{0, 3, 4});
  for (const Tape::Entry& entry : tape.entries()) entry.backward(Tensor::zeros({0, 3, 4}));
  for (float d : w.grad().values()) CHECK(d == 0);
  for (float d : b.grad().values()) CHECK(d == 0);
}

TEST_CASE("linear of shapes that do not fit throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({4, 5})),
                       "[linear] expected x [..., in] and w [out, in]; got [2, 3] and [4, 5]",
                       Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({3})),
                       "[linear] expected x [..., in] and w [out, in]; got [2, 3] and [3]", Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({}), zeros({4, 1})),
                       "[linear] expected x [..., in] and w [out, in]; got [] and [4, 1]", Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 3}), zeros({4, 3}), zeros({3})),
                       "[linear] expected a bias of shape [4]; got [3]", Error);
  CHECK_THROWS_WITH_AS(linear(tape, zeros({2, 0}), zeros({4, 0}), zeros({4})),
                       "[linear] expected x [..., in] with in of at least 1; got [2, 0]", Error);
}

TEST_CASE("linear of types or options that do not fit throws") {
  Tape tape;
  const auto half = [](Shape shape) {
    return Variable::constant(Tensor::zeros(std::move(shape), DType::bf16));
  };
  const auto refuse = [&](const Variable& x, const Variable& w, const LinearOptions& options,
                          const char* expected, const Variable& b = {}) {
    CHECK_THROWS_WITH_AS(linear(tape, x, w, b, options), expected, Error);
  };
  const Variable x = zeros({2, 5, 3}), w = zeros({4, 3});
  CHECK_THROWS_WITH_AS(linear(tape, x, std::vector<Variable>{}),
                       "[linear] expected at least one weight; got none", Error);
  CHECK_THROWS_WITH_AS(linear(tape, x, {w, zeros({4, 2})}),
                       "[linear] expected x [..., in] and w [out, in]; got [2, 5, 3] and [4, 2]",
                       Error);
  refuse(x, half({4, 3}), {}, "[linear] expected weights and bias of type f32; got bf16 and none");
  refuse(x, w, {}, "[linear] expected weights and bias of type f32; got f32 and bf16", half({4}));
  refuse(x, w, {.type = DType::bf16},
         "[linear] expected x and y of one type, or x bf16 and y f32; got f32 and bf16");
  refuse(x, w, {.residual = zeros({2, 5, 3})},
         "[linear] expected a residual [2, 5, 4] of type f32; got [2, 5, 3] of type f32");
  refuse(half({2, 5, 3}), w, {.residual = zeros({2, 5, 4})},
         "[linear] expected a residual [2, 5, 4] of type bf16; got [2, 5, 4] of type f32");
  const Dropout mask{.rate = 0.5, .batch = 5};
  refuse(x, w, {.dropout = mask},
         "[linear] expected dropout after relu; got it without; use op dropout");
  const auto dropped = [](float rate, int64_t first, int64_t batch) {
    return LinearOptions{.activation = Activation::relu,
                         .dropout = {.rate = rate, .first_sequence = first, .batch = batch}};
  };
  refuse(x, w, dropped(1, 0, 5), "[linear] expected a dropout rate in [0, 1); got 1");
  refuse(x, w, dropped(-0.5, 0, 5), "[linear] expected a dropout rate in [0, 1); got -0.5");
  refuse(x, w, dropped(0.5, 1, 5),
         "[linear] expected 5 sequences, from sequence 1, within a batch of 5");
  refuse(zeros({2, 3}), w, dropped(0.5, 0, 5),
         "[linear] expected y [M,B,n] for dropout; got [2, 4]");
}

TEST_CASE("matmul of shapes that do not fit throws") {
  Tape tape;
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({2, 3}), zeros({5, 3})),
                       "[matmul] expected x [..., in] and w [in, out]; got [2, 3] and [5, 3]",
                       Error);
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({2, 3}), zeros({3, 1, 1})),
                       "[matmul] expected x [..., in] and w [in, out]; got [2, 3] and [3, 1, 1]",
                       Error);
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({}), zeros({1, 2})),
                       "[matmul] expected x [..., in] and w [in, out]; got [] and [1, 2]", Error);
}

TEST_CASE("matmul by weights of another type than f32 throws") {
  Tape tape;
  const Variable half = Variable::constant(Tensor::zeros({3, 3}, DType::bf16));
  CHECK_THROWS_WITH_AS(matmul(tape, zeros({3, 3}), half),
                       "[matmul] expected a value of type f32; got bf16 [3, 3]", Error);
}

}  // namespace adaspan
