// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "train/run/settings.h"

namespace adaspan {

/// Trains as `settings` say, from settings.checkpoint if it is there: steps, lines of metrics, a
/// validation and a checkpoint every nbatches steps, the best model so far in best.safetensors
/// beside it. When `stop` becomes true the step under way is finished, the state saved, and false
/// returned. Throws Error as its parts do; the last checkpoint then stays.
bool train(const Settings& settings, const std::atomic<bool>& stop);

}  // namespace adaspan
