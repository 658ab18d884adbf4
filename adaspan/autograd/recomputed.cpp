// SPDX-License-Identifier: MIT
#include "adaspan/autograd/recomputed.h"

#include <utility>

namespace adaspan {

Variable recomputed(Tape& tape, std::string op, std::vector<Variable> inputs,
                    std::function<Variable(Tape&)> f) {
  Tape no_tape(Tape::Mode::evaluation);
  Value y = f(no_tape).shared_value();
  // saved: what f captures. Its variables are those of the outer tape, so that their gradients are
  // summed where they would be without this.
  return tape.record(std::move(op), std::move(inputs), std::move(y), [f = std::move(f)](Tensor dy) {
    Tape again;
    const Variable same = f(again);
    again.backward(same, std::move(dy));
  });
}

}  // namespace adaspan
