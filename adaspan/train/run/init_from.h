// SPDX-License-Identifier: MIT
// A new run that begins with the weights of another's checkpoint, on the same corpus or another
// one.
#pragma once

#include <string>

#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// Puts the weights of the checkpoint run.init_from into `trainer`, which is fresh, and with
/// run.init_optimizer the optimizer's state, too; its step stays 0, its memory empty. Then it has
/// an origin(). An average of weights that the source keeps is not read; the run's own begins with
/// what was taken. Returns one line that tells what was taken.
///
/// Tokens are matched by their bytes; embedding and output of those that the source does not have
/// stay as the seed made them. To match them, both vocabularies are read from the corpora that
/// trainer and source name, unless their hashes say that they are one. A longer model.span_limit S
/// keeps the vector of each distance, and each head's z (not its ratio z/S).
///
/// Throws Error, naming both, when another size differs, S is shorter, S is longer and spans are
/// dynamic (whose z is S sigmoid(...)), or with init_optimizer the optimizer is another one; when
/// vocabularies differ and one of them cannot be found, or no token is in both; and as
/// open_checkpoint does.
std::string initialise(Trainer& trainer);

}  // namespace adaspan
