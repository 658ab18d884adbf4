// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// Times span attention alone, forward and backward, for one layer whose heads all have effective
/// span E and all the memory that they reach; one row for each E. GFLOP/s count 22 D operations for
/// each query and key: 6 forward and 16 backward, of which 4 make the scores again.
/// -> {precision, gemm_peak_gflops, rows: [{span, forward_s, backward_s, spread, gflops,
/// gemm_peak_gflops, gemm_peak_spread, peak_share, computed}], disturbed}; a row's peak is of its
/// own turns; `computed`: multiply-adds done for each that the span needs (the rest is rounding to
/// vectors and blocks of rows)
/// Throws Error for a span that is not in [1, S].
nlohmann::ordered_json bench_attention(const TrainingConfig& config,
                                       const std::vector<int64_t>& spans);

}  // namespace adaspan
