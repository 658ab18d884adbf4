// SPDX-License-Identifier: MIT
// How fast a training step is, and how much of the machine it uses.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/run/settings.h"

namespace adaspan {

/// z of each layer and head for a named pattern: "initial" (0), "full" (S), or "trained" (20, but
/// 0.6 S (614 of 1024) for head 0 of the upper half of the layers). Throws Error for another name.
std::vector<std::vector<float>> span_pattern(const std::string& name, const ModelConfig& config);

/// Times `steps` steps (after as many as fill the memory) on random tokens and takes the best. ->
/// {seconds, tokens_per_s, useful_gflops, gemm_peak_gflops, peak_share, peak_rss_gb, ...}
nlohmann::ordered_json bench_step(const Settings& settings, const std::string& spans,
                                  int64_t steps);

}  // namespace adaspan
