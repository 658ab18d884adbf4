// SPDX-License-Identifier: MIT
#include "adaspan/autograd/watched.h"

#include <doctest/doctest.h>

#include <vector>

#include "adaspan/ops/elementwise.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

TEST_CASE("a watched value passes values and gradients on as they are") {
  check_op(
      [](Tape& tape, const Variables& x) {
        return add(tape, x[0], watched(tape, x[0], [](const Tensor&) {}));
      },
      [](const Arrays& x) {
        Array y(x[0].shape());
        for (int64_t i = 0; i < y.elements(); ++i) y[i] = 2 * x[0][i];
        return y;
      },
      {random_tensor({3, 5}, 1)});
}

TEST_CASE("the watcher sees what has come through its value alone, once") {
  const Parameter p("p", random_tensor({4}, 2));
  Tape tape;
  std::vector<float> seen;
  const Variable x = p.variable();
  const Variable y = watched(tape, x, [&](const Tensor& dy) {
    seen.insert(seen.end(), dy.values().begin(), dy.values().end());
  });
  CHECK(&y.value() == &x.value());
  // d/dy of mean(3 y) is 3/4; mean(x) beside it is none of the watcher's.
  tape.backward(add(tape, mean(tape, x), mean(tape, scale(tape, y, 3))));
  CHECK(seen == std::vector<float>(4, 0.75f));
  CHECK(p.grad().data()[0] == 1.0f);
}

TEST_CASE("nothing is watched where nothing is recorded") {
  Parameter p("p", random_tensor({4}, 2));
  Tape tape(Tape::Mode::evaluation);
  CHECK_FALSE(watched(tape, p.variable(), [](const Tensor&) {}).requires_grad());
  CHECK(tape.entries().empty());
}

}  // namespace
}  // namespace adaspan
