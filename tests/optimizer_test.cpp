// SPDX-License-Identifier: MIT
#include "adaspan/train/optim/optimizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "adaspan/core/parallel.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

constexpr OptimizerKind kKinds[] = {OptimizerKind::sgd, OptimizerKind::adagrad,
                                    OptimizerKind::adam};

/// Parameters of one shape each, with random values.
struct Parameters {
  explicit Parameters(std::initializer_list<Shape> shapes) {
    for (const Shape& shape : shapes) {
      all.emplace_back("p" + std::to_string(all.size()), random_tensor(shape, all.size()));
    }
  }
  /// Gradients of step n, some elements exactly 0; each tensor's are of another size.
  void set_gradients(int64_t n) {
    double size = 10;
    for (Parameter& p : all) {
      p.clear_grad();
      Tensor g =
          random_tensor(p.shape(), static_cast<uint64_t>(100 * n) + p.name()[1], -size, size);
      g.data()[0] = 0;
      p.variable().grad().add(std::move(g));
      size /= 100;
    }
  }
  std::vector<Parameter*> pointers() {
    std::vector<Parameter*> list;
    for (Parameter& p : all) list.push_back(&p);
    return list;
  }

  std::deque<Parameter> all;
};

double length(const Array& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.elements(); ++i) sum += x[i] * x[i];
  return std::sqrt(sum);
}

/// The update rules of the specification, word for word and in double precision.
struct Reference {
  OptimizerConfig config;
  Arrays p, first, second;  // first: G, momentum or mean; second: square

  Reference(const OptimizerConfig& c, const std::deque<Parameter>& parameters) : config(c) {
    for (const Parameter& parameter : parameters) {
      p.emplace_back(parameter.value());
      first.emplace_back(parameter.shape());
      second.emplace_back(parameter.shape());
    }
  }

  void update(const std::deque<Parameter>& parameters, double lr, double n) {
    Arrays g;
    double global = 0;
    for (const Parameter& parameter : parameters) {
      global += std::pow(length(g.emplace_back(parameter.grad())), 2);
    }
    global = std::sqrt(global);
    for (size_t k = 0; k < p.size(); ++k) {
      const double clip = config.grad_clip;
      const double own = length(g[k]);
      const double c_own = clip > 0 && own > clip ? clip / (own + 1e-10) : 1;
      const double c_all = clip > 0 ? std::min(1.0, clip / (global + 1e-6)) : 1;
      for (int64_t i = 0; i < p[k].elements(); ++i) {
        double &a = first[k][i], &b = second[k][i];
        if (config.kind == OptimizerKind::adagrad) {
          a += g[k][i] * g[k][i];
          p[k][i] -= lr * c_own * g[k][i] / (std::sqrt(a) + 1e-10);
        } else if (config.kind == OptimizerKind::sgd) {
          a = n == 1 ? c_all * g[k][i] : config.momentum * a + c_all * g[k][i];
          p[k][i] -= lr * a;
        } else {
          a = 0.9 * a + 0.1 * c_all * g[k][i];
          b = 0.999 * b + 0.001 * std::pow(c_all * g[k][i], 2);
          p[k][i] -=
              lr * (a / (1 - std::pow(0.9, n))) / (std::sqrt(b / (1 - std::pow(0.999, n))) + 1e-8);
        }
      }
    }
  }
};

/// Runs 6 steps of both; `lr` changes from step to step.
void check_against_reference(const OptimizerConfig& config) {
  CAPTURE(static_cast<int>(config.kind));
  CAPTURE(config.grad_clip);
  CAPTURE(config.momentum);
  Parameters parameters({{5, 7}, {4, 3}, {6}});
  Reference reference(config, parameters.all);
  const auto optimizer = make_optimizer(config, parameters.pointers());
  for (int64_t n = 1; n <= 6; ++n) {
    CAPTURE(n);
    parameters.set_gradients(n);
    const double lr = 0.02 * static_cast<double>(n);
    optimizer->update(lr, n);
    reference.update(parameters.all, lr, static_cast<double>(n));
    for (size_t k = 0; k < parameters.all.size(); ++k) {
      CAPTURE(k);
      CHECK(relative_distance(parameters.all[k].value(), reference.p[k]) <= 1e-6);
    }
  }
}

TEST_CASE("each optimizer takes the steps of the specification, at each instruction level") {
  at_each_level([] {
    for (OptimizerKind kind : kKinds) check_against_reference({.kind = kind});
  });
}

TEST_CASE("sgd takes the specification's steps with momentum") {
  check_against_reference({.momentum = 0.9});
  check_against_reference({.momentum = 0.9, .grad_clip = 0.05});
}

TEST_CASE("each optimizer clips as the specification says") {
  // The gradients' norms are about 34, 0.2 and 0.0014: a clip below all, between, and above all.
  for (double clip : {1e-4, 0.03, 1.0, 1000.0}) {
    for (OptimizerKind kind : kKinds) check_against_reference({.kind = kind, .grad_clip = clip});
  }
}

TEST_CASE("adagrad clips each tensor by itself, the others all of them by one factor") {
  // The second tensor's gradient is within the clip; that of the first is far above.
  const auto moved = [](OptimizerKind kind, double clip) {
    Parameters parameters({{3}, {3}});
    parameters.set_gradients(1);
    const Tensor before = parameters.all[1].value().clone();
    make_optimizer({.kind = kind, .grad_clip = clip}, parameters.pointers())->update(0.1, 1);
    return !same_bits(before, parameters.all[1].value())
               ? std::abs(parameters.all[1].value().data()[1] - before.data()[1])
               : 0;
  };
  CHECK(moved(OptimizerKind::adagrad, 1) == moved(OptimizerKind::adagrad, 0));
  CHECK(moved(OptimizerKind::sgd, 1) < 0.5f * moved(OptimizerKind::sgd, 0));
}

TEST_CASE("the share of gradients that are cut is told, as each rule cuts them") {
  const GradientNorms norms{.each = {0.5, 3, 0, 1}, .all = 3.2};
  const auto share = [&](OptimizerKind kind, double clip) {
    return clipped_share({.kind = kind, .grad_clip = clip}, norms);
  };
  CHECK(share(OptimizerKind::adagrad, 0.9) == 0.5);
  CHECK(share(OptimizerKind::adagrad, 1) == 0.25);  // as long as it may be
  CHECK(share(OptimizerKind::adagrad, 0) == 0);     // no clipping
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
    CHECK(share(kind, 3.1) == 1);
    CHECK(share(kind, 3.3) == 0);
    CHECK(share(kind, 0) == 0);
  }
}

TEST_CASE("any number of threads gives the same bits") {
  for (OptimizerKind kind : kKinds) {
    CAPTURE(static_cast<int>(kind));
    const OptimizerConfig config{.kind = kind, .momentum = 0.9, .grad_clip = 0.5};
    const auto run = [&](int count) {
      set_threads(count);
      Parameters parameters({{1 << 8, 257}, {7}});
      const auto optimizer = make_optimizer(config, parameters.pointers());
      for (int64_t n = 1; n <= 3; ++n) {
        parameters.set_gradients(n);
        optimizer->update(0.1, n);
      }
      set_threads(1);
      return parameters.all[0].value().clone();
    };
    const Tensor one = run(1);
    CHECK(same_bits(run(2), one));
    CHECK(same_bits(run(3), one));
  }
}

TEST_CASE("no update takes a parameter out of its bounds") {
  for (OptimizerKind kind : kKinds) {
    CAPTURE(static_cast<int>(kind));
    Parameter free("free", Tensor::filled({40000}, 0.5f));  // of several pieces
    Parameter bounded("bounded", Tensor::filled({40000}, 0.5f), Bounds{0.25f, 0.75f});
    Tensor g({40000});
    for (int64_t i = 0; i < 40000; ++i) g.data()[i] = static_cast<float>(i % 5 - 2);
    for (Parameter* p : {&free, &bounded}) p->variable().grad().add(g.clone());
    make_optimizer({.kind = kind}, {&free, &bounded})->update(0.4, 1);
    for (int64_t i = 0; i < 40000; ++i) {
      REQUIRE(bounded.value().data()[i] == std::clamp(free.value().data()[i], 0.25f, 0.75f));
    }
    CHECK(std::ranges::min(bounded.value().values()) == 0.25f);
    CHECK(std::ranges::max(bounded.value().values()) == 0.75f);
  }
}

TEST_CASE("a parameter without a gradient stays as it is") {
  for (OptimizerKind kind : kKinds) {
    Parameters parameters({{3}, {3}});
    parameters.set_gradients(1);
    parameters.all[1].clear_grad();
    const Tensor before = parameters.all[1].value().clone();
    make_optimizer({.kind = kind, .grad_clip = 1}, parameters.pointers())->update(0.1, 1);
    CHECK(same_bits(parameters.all[1].value(), before));
  }
}

TEST_CASE("an update leaves the gradients for the caller to clear") {
  Parameters parameters({Shape{3}});
  parameters.set_gradients(1);
  const Tensor before = parameters.all[0].grad().clone();
  make_optimizer({.grad_clip = 0.1}, parameters.pointers())->update(0.1, 1);
  CHECK(same_bits(parameters.all[0].grad(), before));
}

TEST_CASE("the state is named after slot and parameter, and is zero at first") {
  const auto names = [](OptimizerKind kind) {
    Parameters parameters({{3}, {2, 2}});
    const auto optimizer = make_optimizer({.kind = kind}, parameters.pointers());
    std::vector<std::string> result;
    for (const auto& [name, tensor] : optimizer->state()) {
      result.push_back(name);
      CHECK(tensor->shape() == parameters.all[name.back() - '0'].shape());
      CHECK(std::ranges::all_of(tensor->values(), [](float x) { return x == 0; }));
    }
    return result;
  };
  using Names = std::vector<std::string>;
  CHECK(names(OptimizerKind::sgd) == Names{"optim.momentum.p0", "optim.momentum.p1"});
  CHECK(names(OptimizerKind::adagrad) == Names{"optim.sum.p0", "optim.sum.p1"});
  CHECK(names(OptimizerKind::adam) ==
        Names{"optim.mean.p0", "optim.mean.p1", "optim.square.p0", "optim.square.p1"});
}

TEST_CASE("the learning rate rises with the steps to its full height and stays there") {
  CHECK(learning_rate_at(1, 0.5, 4) == doctest::Approx(0.125));
  CHECK(learning_rate_at(3, 0.5, 4) == doctest::Approx(0.375));
  CHECK(learning_rate_at(4, 0.5, 4) == 0.5);
  CHECK(learning_rate_at(1000, 0.5, 4) == 0.5);
  CHECK(learning_rate_at(1, 0.5, 0) == 0.5);
}

TEST_CASE("norms are Euclidean, of each gradient there is and over all of them") {
  Parameters parameters({{2}, {1}, {1}, {0}});
  const float values[] = {3, -4}, twelve[] = {12};
  parameters.all[0].variable().grad().add(Tensor::of({2}, values));
  parameters.all[2].variable().grad().add(Tensor::of({1}, twelve));
  parameters.all[3].variable().grad().add(Tensor({0}));
  const GradientNorms norms = gradient_norms(parameters.pointers());
  CHECK(norms.each == std::vector<double>{5, 0, 12, 0});
  CHECK(norms.all == 13);
  CHECK(gradient_norms({}).all == 0);
}

TEST_CASE("the norm of a long gradient is exact to double precision, whatever the threads") {
  for (int count : {1, 2, 3}) {
    set_threads(count);
    Parameters parameters({{70'001}, {3}});
    Tensor g = random_tensor({70'001}, 5);
    double squares = 0;
    for (float value : g.values()) squares += double{value} * value;
    parameters.all[0].variable().grad().add(std::move(g));
    const double expected = std::sqrt(squares);
    CHECK(gradient_norms(parameters.pointers()).all == doctest::Approx(expected).epsilon(1e-12));
  }
  set_threads(1);
}

TEST_CASE("an update by norms that were measured before is the same") {
  for (OptimizerKind kind : kKinds) {
    const auto updated = [&](bool by_norms) {
      Parameters parameters({{3, 70}, {3}});
      parameters.set_gradients(1);
      const auto optimizer =
          make_optimizer({.kind = kind, .grad_clip = 0.1}, parameters.pointers());
      if (by_norms) {
        optimizer->update(0.1, 1, gradient_norms(parameters.pointers()));
      } else {
        optimizer->update(0.1, 1);
      }
      return parameters.all[0].value().clone();
    };
    CHECK(same_bits(updated(true), updated(false)));
  }
}

TEST_CASE("infinite and NaN gradients have such norms") {
  for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    Parameters parameters({{40}, {3}});
    parameters.set_gradients(1);
    parameters.all[1].clear_grad();
    Tensor g = Tensor::zeros({3});
    g.data()[2] = bad;
    parameters.all[1].variable().grad().add(std::move(g));
    CHECK_FALSE(std::isfinite(gradient_norms(parameters.pointers()).all));
  }
}

}  // namespace
}  // namespace adaspan
