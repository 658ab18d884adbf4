// SPDX-License-Identifier: MIT
#include "tests/support/gradient_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "adaspan/core/parallel.h"
#include "adaspan/core/random.h"

namespace adaspan {
namespace {

/// loss = sum(c y)      dy = c dloss
Variable weighted_sum(Tape& tape, const Variable& y, const Tensor& c) {
  double sum = 0;
  for (int64_t i = 0; i < c.elements(); ++i) sum += double{c.data()[i]} * y.value().data()[i];
  return tape.record("weighted_sum", {y}, Tensor::filled({1}, static_cast<float>(sum)),
                     [dy = y.grad(), c = share(c.clone())](const Tensor& dloss) {
                       Tensor d = c->clone();
                       for (int64_t i = 0; i < d.elements(); ++i) d.data()[i] *= dloss.item();
                       dy.add(std::move(d));
                     });
}

/// Random and of either sign, but none so small that it hides the element it belongs to.
Tensor cotangent(const Shape& shape) {
  Tensor c = random_tensor(shape, 4711);
  for (int64_t i = 0; i < c.elements(); ++i) c.data()[i] += std::copysign(0.5f, c.data()[i]);
  return c;
}

/// d(sum(c y))/d(x[input][i])
double finite_difference(const Definition& definition, Arrays& x, size_t input, int64_t i,
                         const Array& c) {
  constexpr double kStep = 1e-5;
  const double at = x[input][i];
  x[input][i] = at + kStep;
  const Array after = definition(x);
  x[input][i] = at - kStep;
  const Array before = definition(x);
  x[input][i] = at;
  double sum = 0;
  for (int64_t j = 0; j < c.elements(); ++j) sum += c[j] * (after[j] - before[j]);
  return sum / (2 * kStep);
}

std::vector<int64_t> chosen_elements(int64_t elements, int64_t samples) {
  std::vector<int64_t> chosen(static_cast<size_t>(std::min(elements, samples)));
  for (size_t s = 0; s < chosen.size(); ++s) {
    const auto place = static_cast<double>(elements) * random_uniform({.seed = 99}, s);
    chosen[s] = elements <= samples ? static_cast<int64_t>(s) : static_cast<int64_t>(place);
  }
  return chosen;
}

std::vector<Tensor> copies_of(std::initializer_list<Tensor> inputs) {
  std::vector<Tensor> copies;
  for (const Tensor& input : inputs) copies.push_back(input.clone());
  return copies;
}

void check_threads(const Op& op, const std::vector<Tensor>& inputs, const OpResult& found) {
  for (int thread_count : {2, 3}) {
    CAPTURE(thread_count);
    const OpResult again = run_op(op, inputs, thread_count);
    CHECK(same_bits(again.y, found.y));
    for (size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(i);
      CHECK(same_bits(again.gradients[i], found.gradients[i]));
    }
  }
}

void check_gradients(const OpResult& found, const Definition& definition, Arrays& x,
                     const CheckOptions& options) {
  const Array c(cotangent(found.y.shape()));
  for (size_t input = 0; input < x.size(); ++input) {
    const Tensor& gradient = found.gradients[input];
    CAPTURE(input);
    REQUIRE(gradient.shape() == x[input].shape());
    const auto chosen = chosen_elements(gradient.elements(), options.samples);
    Tensor some({static_cast<int64_t>(chosen.size())});
    Array expected(some.shape());
    for (int64_t s = 0; s < some.elements(); ++s) {
      const int64_t i = chosen[static_cast<size_t>(s)];
      some.data()[s] = gradient.data()[i];
      expected[s] = finite_difference(definition, x, input, i, c);
    }
    CHECK_MESSAGE(relative_distance(some, expected) <= options.bound, "gradient");
  }
}

}  // namespace

Array::Array(Shape shape)
    : shape_(std::move(shape)), values_(static_cast<size_t>(shape_.elements())) {}

Array::Array(const Tensor& tensor)
    : shape_(tensor.shape()), values_(tensor.values().begin(), tensor.values().end()) {}

Tensor random_tensor(Shape shape, uint64_t seed, double low, double high) {
  Tensor tensor(std::move(shape));
  const RandomKey key{.seed = seed, .purpose = Purpose::benchmark};
  std::array<uint32_t, 4> group{};
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (i % 4 == 0) group = random_group(key, static_cast<uint64_t>(i / 4));
    const double u = group[static_cast<size_t>(i % 4)] * 0x1p-32;
    tensor.data()[i] = static_cast<float>(low + (high - low) * u);
  }
  return tensor;
}

double off_kink(double x, double kink) {
  return std::abs(x - kink) > 1e-4 ? x : std::numeric_limits<double>::quiet_NaN();
}

double relative_distance(const Tensor& found, const Array& expected) {
  if (found.shape() != expected.shape()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    difference += std::pow(found.data()[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  const double distance = std::sqrt(difference) / std::max(0.01, std::sqrt(norm));
  return std::isnan(norm) ? norm : distance;  // std::max drops a NaN
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.type() != b.type() || a.empty() != b.empty()) return false;
  return a.empty() || with_type(a.type(), [&]<class T>(T) {
           return std::memcmp(a.data<T>(), b.data<T>(), a.bytes()) == 0;
         });
}

OpResult run_op(const Op& op, const std::vector<Tensor>& inputs, int thread_count,
                std::optional<size_t> only, Tape::Mode mode) {
  set_threads(thread_count);
  std::vector<std::unique_ptr<Parameter>> parameters;
  Variables x;
  for (size_t i = 0; i < inputs.size(); ++i) {
    parameters.push_back(std::make_unique<Parameter>("input", inputs[i].clone()));
    const bool wanted = !only || *only == i;
    x.push_back(wanted ? parameters[i]->variable() : Variable::constant(inputs[i].clone()));
  }
  Tape tape(mode);
  const Variable y = op(tape, x);
  CHECK(y.requires_grad() == tape.recording());
  if (tape.recording()) tape.backward(weighted_sum(tape, y, cotangent(y.shape())));
  OpResult result{y.value().clone(), {}};
  for (const auto& parameter : parameters) result.gradients.push_back(parameter->grad().clone());
  return result;
}

void check_op(const Op& op, const Definition& definition, const std::vector<Tensor>& inputs,
              const CheckOptions& options) {
  const OpResult found = run_op(op, inputs, 1);
  Arrays x;
  for (const Tensor& input : inputs) x.emplace_back(input);
  CHECK_MESSAGE(relative_distance(found.y, definition(x)) <= options.bound, "values");
  check_gradients(found, definition, x, options);
  check_threads(op, inputs, found);
  for (size_t only = 0; only < inputs.size(); ++only) {
    CAPTURE(only);
    CHECK(same_bits(run_op(op, inputs, 1, only).gradients[only], found.gradients[only]));
  }
  CHECK(same_bits(run_op(op, inputs, 1, {}, Tape::Mode::evaluation).y, found.y));
}

void check_op(const Op& op, const Definition& definition, std::initializer_list<Tensor> inputs,
              const CheckOptions& options) {
  check_op(op, definition, copies_of(inputs), options);
}

void check_threads(const Op& op, const std::vector<Tensor>& inputs) {
  const OpResult found = run_op(op, inputs, 1);
  for (int i = 0; i < 5; ++i) check_threads(op, inputs, found);
}

void check_threads(const Op& op, std::initializer_list<Tensor> inputs) {
  check_threads(op, copies_of(inputs));
}

}  // namespace adaspan
