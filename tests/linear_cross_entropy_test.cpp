// SPDX-License-Identifier: MIT
#include "adaspan/ops/linear_cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "adaspan/ops/cross_entropy.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

/// One in eight rows has none.
Tensor random_targets(const Shape& shape, int64_t V) {
  Tensor targets(shape, DType::i32);
  for (int64_t r = 0; r < targets.elements(); ++r) {
    const double u = random_uniform({.seed = 5}, static_cast<uint64_t>(r));
    targets.data<int32_t>()[r] =
        r % 8 == 5 ? kNoTarget : static_cast<int32_t>(u * static_cast<double>(V));
  }
  return targets;
}

/// x, and weight and bias of each part
std::vector<LinearPart> parts_of(const Variables& inputs) {
  std::vector<LinearPart> parts;
  for (size_t i = 1; i < inputs.size(); i += 2) parts.push_back({inputs[i], inputs[i + 1]});
  return parts;
}

Op op_with(const Tensor& targets) {
  return [&targets](Tape& tape, const Variables& inputs) {
    return linear_cross_entropy(tape, inputs[0], parts_of(inputs), targets);
  };
}

Array definition(const Arrays& inputs, const Tensor& targets) {
  Array loss(targets.shape());
  const Array& x = inputs[0];
  const int64_t in = x.shape()[-1];
  for (int64_t r = 0; r < loss.elements(); ++r) {
    if (targets.data<int32_t>()[r] == kNoTarget) continue;
    double sum = 0, of_target = 0;
    int64_t v = 0;
    for (size_t p = 1; p < inputs.size(); p += 2) {
      for (int64_t o = 0; o < inputs[p].shape()[0]; ++o, ++v) {
        double y = inputs[p + 1][o];
        for (int64_t i = 0; i < in; ++i) y += x[r * in + i] * inputs[p](o, i);
        sum += std::exp(y);
        if (v == targets.data<int32_t>()[r]) of_target = y;
      }
    }
    loss[r] = std::log(sum) - of_target;
  }
  return loss;
}

std::vector<Tensor> random_inputs(const Shape& rows, int64_t in, const std::vector<int64_t>& outs) {
  std::vector<int64_t> extents = rows.extents();
  extents.push_back(in);
  std::vector<Tensor> inputs;
  inputs.push_back(random_tensor(Shape(extents), 1, -2, 2));
  for (int64_t out : outs) {
    inputs.push_back(random_tensor({out, in}, 2 + inputs.size()));
    inputs.push_back(random_tensor({out}, 2 + inputs.size()));
  }
  return inputs;
}

void check_definition(const Shape& rows, int64_t in, const std::vector<int64_t>& outs,
                      const CheckOptions& options = {}) {
  int64_t V = 0;
  for (int64_t out : outs) V += out;
  const Tensor targets = random_targets(rows, V);
  check_op(
      op_with(targets), [&](const Arrays& x) { return definition(x, targets); },
      random_inputs(rows, in, outs), options);
}

/// The losses, and the gradients of the mean loss, whose types are those of the inputs.
std::vector<Tensor> results(const std::vector<Tensor>& inputs, const Tensor& targets) {
  Variables x;
  for (const Tensor& t : inputs) {
    x.emplace_back(share(t.clone()), std::make_shared<Gradient>(t.shape(), "input", t.type()));
  }
  Tape tape;
  const Variable losses = op_with(targets)(tape, x);
  std::vector<Tensor> all;
  all.push_back(losses.value().clone());
  tape.backward(mean(tape, losses));
  for (const Variable& input : x) all.push_back(input.shared_gradient()->take());
  return all;
}

/// The mean loss against that of the elementary ops, which have all logits.
void check_composition(int64_t rows, int64_t in, const std::vector<int64_t>& outs) {
  std::vector<Tensor> inputs = random_inputs({rows}, in, outs);
  for (size_t i = 1; i < inputs.size(); i += 2) {  // logits of about 1
    for (int64_t j = 0; j < inputs[i].elements(); ++j) {
      inputs[i].data()[j] /= std::sqrt(static_cast<float>(in));
    }
  }
  int64_t V = 0;
  for (int64_t out : outs) V += out;
  Tensor targets = random_targets({rows}, V);
  for (int64_t r = 5; r < rows; r += 8) targets.data<int32_t>()[r] = static_cast<int32_t>(r % V);
  const OpResult fused =
      run_op([&](Tape& tape, const Variables& x) { return mean(tape, op_with(targets)(tape, x)); },
             inputs);
  const OpResult composed = run_op(
      [&](Tape& tape, const Variables& x) {
        Variables logits;
        for (const auto& [w, b] : parts_of(x)) logits.push_back(linear(tape, x[0], w, b));
        return cross_entropy(tape, concat_columns(tape, logits), targets);
      },
      inputs);
  CHECK(relative_distance(fused.y, Array(composed.y)) < 1e-6);
  for (size_t i = 0; i < inputs.size(); ++i) {
    CAPTURE(i);
    // Their norms are so small that distances would not count.
    Tensor found = fused.gradients[i].clone(), expected = composed.gradients[i].clone();
    for (int64_t j = 0; j < found.elements(); ++j) {
      found.data()[j] *= 1e3f;
      expected.data()[j] *= 1e3f;
    }
    CHECK(relative_distance(found, Array(expected)) < 1e-5);
  }
}

}  // namespace

// The first one, since the pool tells the most that there ever was.
TEST_CASE("the memory of pieces does not grow with the vocabulary") {
  const int64_t rows = 4096, in = 16, V = 30000;  // 490 MB of logits
  Parameter x("x", random_tensor({rows, in}, 1)), w("w", random_tensor({V, in}, 2)),
      b("b", random_tensor({V}, 3));
  const Tensor targets = random_targets({rows}, V);
  Tape tape;
  const Variable y =
      linear_cross_entropy(tape, x.variable(), {{w.variable(), b.variable()}}, targets);
  tape.backward(mean(tape, y));
  CHECK(pool_use().peak < pool_use().in_use + (size_t{64} << 20));
}

TEST_CASE("linear_cross_entropy is -log p of each target under the softmax of a linear layer") {
  check_definition({4, 3}, 6, {7});
  check_definition({4, 3}, 6, {7, 2});
  check_definition({1}, 3, {1, 5});
  check_definition({9}, 1, {1});
}

TEST_CASE("linear_cross_entropy of more rows and columns than one piece has") {
  check_definition({150, 2}, 3, {1100, 3}, {.samples = 6});
}

TEST_CASE("linear_cross_entropy at each instruction level") {
  at_each_level([] { check_definition({9, 3}, 20, {70, 35}); });
}

TEST_CASE("linear_cross_entropy of bf16") {
  std::vector<Tensor> half = random_inputs({60, 3}, 70, {90, 3}), wide;
  for (Tensor& input : half) {  // numbers that both types have
    wide.push_back(to_half(input).converted(DType::f32));
    input = wide.back().clone();
  }
  half[0] = to_half(half[0]);
  const Tensor targets = random_targets({60, 3}, 93);
  at_each_level([&] {
    const std::vector<Tensor> found = results(half, targets), expected = results(wide, targets);
    CHECK(found[0].type() == DType::f32);
    CHECK(relative_distance(found[0], Array(expected[0])) < 1e-5);
    for (size_t i = 0; i < half.size(); ++i) {
      CAPTURE(i);
      CHECK(found[i + 1].type() == half[i].type());
      // The gradient of y is rounded before the products; that of x once more after.
      CHECK(relative_distance(found[i + 1].converted(DType::f32), Array(expected[i + 1])) <
            2 * kBf16Bound);
    }
  });
}

TEST_CASE("linear_cross_entropy is cross_entropy of linear") {
  check_composition(400, 40, {300, 2});
  check_composition(1500, 1 << 13, {5});  // in two groups of rows
  CHECK(logit_pieces(1500, 1 << 13).rows_per_group == 1024);
}

TEST_CASE("any number of threads gives the same bits") {
  const Tensor targets = random_targets({2500}, 1500);
  check_threads(op_with(targets), random_inputs({2500}, 16, {1400, 100}));
}

TEST_CASE("rows without a target, and no rows, give gradients of zero rather than none") {
  for (int64_t rows : {0, 3}) {
    Tensor targets({rows}, DType::i32);
    std::fill_n(targets.data<int32_t>(), rows, kNoTarget);
    Parameter x("x", random_tensor({rows, 4}, 1)), w("w", random_tensor({5, 4}, 2)),
        b("b", random_tensor({5}, 3));
    Tape tape;
    linear_cross_entropy(tape, x.variable(), {{w.variable(), b.variable()}}, targets);
    tape.entries()[0].backward(Tensor::filled({rows}, 1));
    CHECK(same_bits(x.grad(), Tensor::zeros({rows, 4})));
    CHECK(same_bits(w.grad(), Tensor::zeros({5, 4})));
    CHECK(same_bits(b.grad(), Tensor::zeros({5})));
  }
}

TEST_CASE("gradients are added to those that there are") {
  const std::vector<Tensor> inputs = random_inputs({70}, 8, {9});
  const Tensor targets = random_targets({70}, 9);
  Parameter w("w", inputs[1].clone()), b("b", inputs[2].clone()), x("x", inputs[0].clone());
  std::vector<Tensor> once;
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    linear_cross_entropy(tape, x.variable(), {{w.variable(), b.variable()}}, targets);
    tape.entries()[0].backward(Tensor::filled({70}, 1));
    for (const Parameter* p : {&x, &w, &b}) {
      if (i == 0) {
        once.push_back(p->grad().clone());
        continue;
      }
      Array twice(p->shape());
      for (int64_t j = 0; j < twice.elements(); ++j) {
        twice[j] = 2 * once[p == &x ? 0 : p == &w ? 1 : 2].data()[j];
      }
      CHECK(relative_distance(p->grad(), twice) < 1e-6);
    }
  }
}

TEST_CASE("a NaN among the weights makes every loss NaN, wherever it is") {
  const int64_t V = 2000;
  const Tensor targets = random_targets({4}, V);
  for (int64_t place : {int64_t{0}, int64_t{1500}, V - 1}) {
    std::vector<Tensor> inputs = random_inputs({4}, 3, {V});
    inputs[2].data()[place] = std::numeric_limits<float>::quiet_NaN();
    const OpResult found = run_op(op_with(targets), inputs);
    for (float loss : found.y.values()) CHECK(std::isnan(loss));
  }
}

TEST_CASE("extreme logits give finite losses") {
  std::vector<Tensor> inputs = random_inputs({1}, 1, {3});
  const std::vector<float> bias{1e4f, -1e4f, 0};
  inputs[1] = Tensor::zeros({3, 1});
  inputs[2] = Tensor::of({3}, bias);
  const auto loss = [&](int32_t target) {
    const Tensor targets = Tensor::of({1}, std::vector<int32_t>{target});
    return run_op(op_with(targets), inputs).y.item();
  };
  CHECK(loss(0) == 0);
  CHECK(loss(1) == doctest::Approx(2e4));
}

TEST_CASE("shapes, types and targets that do not fit throw") {
  Tape tape;
  const auto zeros = [](Shape shape, DType type = DType::f32) {
    return Variable::constant(Tensor::zeros(std::move(shape), type));
  };
  const Tensor targets = Tensor::zeros({2}, DType::i32);
  const auto refuse = [&](const Variable& x, const std::vector<LinearPart>& parts, const Tensor& of,
                          const char* expected) {
    CHECK_THROWS_WITH_AS(linear_cross_entropy(tape, x, parts, of), expected, Error);
  };
  const Variable x = zeros({2, 3});
  refuse(x, {}, targets,
         "[linear_cross_entropy] expected x [..., in] with in of at least 1, and at least one "
         "weight; got [2, 3] and 0");
  refuse(x, {{zeros({5, 4}), zeros({5})}}, targets,
         "[linear_cross_entropy] expected x [..., in], w [out, in] and b [out]; got [2, 3], [5, 4] "
         "and [5]");
  refuse(x, {{zeros({5, 3}), zeros({4})}}, targets,
         "[linear_cross_entropy] expected x [..., in], w [out, in] and b [out]; got [2, 3], [5, 3] "
         "and [4]");
  refuse(x, {{zeros({5, 3}, DType::bf16), zeros({5})}}, targets,
         "[linear_cross_entropy] expected weights and bias of type f32; got bf16 and f32");
  refuse(x, {{zeros({5, 3}), zeros({5})}}, Tensor::zeros({3}, DType::i32),
         "[linear_cross_entropy] expected 2 targets; got 3");
  for (int32_t wrong : {5, -2}) {
    const std::string text =
        "[linear_cross_entropy] expected targets in [0, 5); got " + std::to_string(wrong);
    refuse(x, {{zeros({5, 3}), zeros({5})}}, Tensor::of({2}, std::vector<int32_t>{0, wrong}),
           text.c_str());
  }
}

}  // namespace adaspan
