// SPDX-License-Identifier: MIT
// Replays a recorded run of the paper's released code and compares number by number.
// bench/README.md describes the file of such a run.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include <adaspan/core/tensor.h>

namespace adaspan {

/// Calls row(json) for each quantity: {"name", "value", "rel_error", "bound", "ok"}. `value` is our
/// own number: a loss, a gradient's norm, the list of losses or spans over the steps. Returns
/// whether all errors are within their bounds, in f32: 1e-4 for the second block, for the training
/// loss 1e-3 over the first 10 steps and 1e-2 after, 1e-2 for the spans and the evaluation; in bf16
/// 2^-8 for the second block's loss and log-probabilities, 2^-3 for its gradients, 0.2 for the
/// spans and 1e-2 for losses (parity.cpp says why). Throws Error when the file is no recorded run,
/// or one of a model that is not supported, and when `precision` cannot run.
bool replay(const std::filesystem::path& path, DType precision,
            const std::function<void(const nlohmann::ordered_json& row)>& row);

}  // namespace adaspan
