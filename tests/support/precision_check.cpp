// SPDX-License-Identifier: MIT
#include "tests/support/precision_check.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

/// loss = sum(c y), of y of either type      dy = c dloss
Variable weighted_sum(Tape& tape, const Variable& y, const Tensor& c) {
  return tape.record("weighted_sum", {y}, Tensor::zeros({1}),
                     [dy = y.grad(), type = y.type(), c = share(c.clone())](const Tensor&) {
                       dy.add(c->converted(type));
                     });
}

/// y, and the gradients of all inputs
std::vector<Tensor> run(const Op& op, const std::vector<Tensor>& inputs, int thread_count) {
  set_threads(thread_count);
  Variables x;
  for (const Tensor& input : inputs) {
    x.emplace_back(share(input.clone()),
                   std::make_shared<Gradient>(input.shape(), "input", input.type()));
  }
  Tape tape;
  const Variable y = op(tape, x);
  // Numbers that bf16 has, too, and none so small that it hides the element it belongs to.
  Tensor c = to_half(random_tensor(y.shape(), 4711, 0.5, 1.5)).converted(DType::f32);
  for (int64_t i = 0; i < c.elements(); i += 2) c.data()[i] *= -1;
  tape.backward(weighted_sum(tape, y, c));
  std::vector<Tensor> results;
  results.push_back(y.value().clone());
  for (const Variable& input : x) results.push_back(input.shared_gradient()->take());
  set_threads(1);
  return results;
}

}  // namespace

void check_bf16(const Op& op, const std::vector<Tensor>& inputs, DType y_type, double bound) {
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs) wide.push_back(input.converted(DType::f32));
  at_each_level([&] {
    const std::vector<Tensor> expected = run(op, wide, 1), found = run(op, inputs, 1);
    for (size_t i = 0; i < found.size(); ++i) {
      INFO((i == 0 ? "values" : "gradient of input " + std::to_string(i - 1)));
      const DType type = i == 0 ? y_type : inputs[i - 1].type();
      CHECK(found[i].type() == type);
      CHECK(relative_distance(found[i].converted(DType::f32),
                              Array(expected[i].converted(DType::f32))) <=
            (type == DType::bf16 ? bound : 1e-5));
    }
    for (int thread_count : {2, 3}) {
      CAPTURE(thread_count);
      const std::vector<Tensor> again = run(op, inputs, thread_count);
      for (size_t i = 0; i < found.size(); ++i) CHECK(same_bits(again[i], found[i]));
    }
  });
}

}  // namespace adaspan
