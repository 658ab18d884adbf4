// SPDX-License-Identifier: MIT
#include "adaspan/autograd/watched.h"

#include <utility>

namespace adaspan {

Variable watched(Tape& tape, const Variable& x, GradientWatcher watcher) {
  // saved: nothing
  return tape.record("watched", {x}, x.shared_value(),
                     [dx = x.grad(), watcher = std::move(watcher)](Tensor dy) {
                       watcher(dy);
                       dx.add(std::move(dy));
                     });
}

}  // namespace adaspan
