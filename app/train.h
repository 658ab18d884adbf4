// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include <adaspan/train/run/settings.h>

namespace adaspan {

/// Trains as `settings` say, from settings.checkpoint if it is there, in its folder: steps, lines
/// of metrics, a validation and checkpoints every nbatches steps, and a manifest of what the run
/// is. When `stop` becomes true the step under way is finished, the state saved, and false
/// returned. Throws Error as its parts do; the last checkpoint then stays.
bool train(const Settings& settings, const std::atomic<bool>& stop);

}  // namespace adaspan
