// SPDX-License-Identifier: MIT
// How fast a training step is, and how much of the machine it uses.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// Throws Error unless each head has one span, which a benchmark can set.
void require_settable_spans(const ModelConfig& config);

/// Throws OutOfMemory when there is not enough for one layer with spans z.
void require_layer_memory(const TrainingConfig& config, float z);

struct BenchStepOptions {
  std::string spans = "initial";
  int64_t steps = 3;     ///< to time, in up to 5 turns; the fastest counts
  bool profile = false;  ///< record some more kernel by kernel; the fastest counts
};

/// Times steps on random tokens, after as many as fill the memory, in turn with the peak.
/// -> {seconds, spread, tokens_per_s, useful_gflops, gemm_peak_gflops, gemm_peak_spread,
/// peak_share, peak_rss_gb, disturbed, ...}, and with a profile {profile: [{kernel, calls, seconds,
/// share, waiting, gflops, gb_per_s, loops, plans, buffers, pieces}]}, see ProfileRow
nlohmann::ordered_json bench_step(const TrainingConfig& config, const BenchStepOptions& options);

}  // namespace adaspan
