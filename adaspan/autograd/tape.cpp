// SPDX-License-Identifier: MIT
#include "adaspan/autograd/tape.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"

namespace adaspan {

Variable Tape::record(std::string op, std::vector<Variable> inputs, Value output,
                      Backward backward) {
  std::vector<std::shared_ptr<const Gradient>> wanted;
  for (const Variable& x : inputs) {
    if (x && x.requires_grad()) wanted.push_back(x.shared_gradient());
  }
  if (!recording() || wanted.empty()) return {std::move(output), nullptr};
  auto gradient = std::make_shared<Gradient>(output->shape(), op, output->type());
  entries_.push_back({std::move(op), std::move(wanted), gradient, std::move(backward)});
  return {std::move(output), std::move(gradient)};
}

void Tape::check_recorded(const Variable& y) const {
  const bool recorded = std::any_of(entries_.rbegin(), entries_.rend(), [&](const Entry& entry) {
    return entry.output == y.shared_gradient();
  });
  require(recorded,
          "[backward] expected a loss recorded on this tape; got {}; run forward with a recording "
          "tape, and backward once a forward",
          !y                  ? "none"
          : y.requires_grad() ? "one that is not on it"
                              : "one without a gradient");
}

void Tape::backward(const Variable& loss) {
  check_recorded(loss);
  require(loss.shape().elements() == 1, "[backward] expected a scalar loss; got shape {}",
          loss.shape().text());
  backward(loss, Tensor::filled(loss.shape(), 1));
}

void Tape::backward(const Variable& y, Tensor dy) {
  check_recorded(y);
  const Timed timed("backward graph", 0, 0);  // without the ops: walking, and giving back
  y.grad().add(std::move(dy));
  while (!entries_.empty()) {
    const Entry entry = std::move(entries_.back());
    entries_.pop_back();
    Tensor gradient = entry.output->take();
    if (!gradient.empty()) entry.backward(std::move(gradient));
  }
}

}  // namespace adaspan
