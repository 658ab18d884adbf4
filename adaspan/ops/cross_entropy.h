// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// Mean negative log-likelihood in nats of the targets under softmax(logits):
///   loss = mean over rows of (log(sum_v e^logits_v) - logits_target)
///   logits [..., V], targets [...] int32 -> loss [1]
/// Throws Error when shapes or types do not fit or a target is not in [0, V).
Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets);

}  // namespace adaspan
