// SPDX-License-Identifier: MIT
// Trading time for memory: values that a backward pass needs are not kept, but made once more when
// it comes to them (Chen et al. 2016).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// y = f(tape), of which nothing but y is saved. f runs now on a tape that records nothing, and, if
/// `tape` records, once more in the backward pass, on one that does. The same gradients, to the
/// bit, as those of f run on `tape` itself, if f makes the same values each time. What f captures
/// is kept until then: only what it reads.
/// inputs: the variables that f reads, parameters aside; only if one of them has a gradient is
/// anything recorded.
Variable recomputed(Tape& tape, std::string op, std::vector<Variable> inputs,
                    std::function<Variable(Tape&)> f);

}  // namespace adaspan
