// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// Shown the gradient of a value, which it leaves as it is.
using GradientWatcher = std::function<void(const Tensor& dy)>;

/// y = x, without a copy. In the backward pass `watcher` is shown dy, the gradient that has come
/// through y alone, before it is added to that of x. No bit of any gradient changes by it.
Variable watched(Tape& tape, const Variable& x, GradientWatcher watcher);

}  // namespace adaspan
