// SPDX-License-Identifier: MIT
// What this machine's matrix product reaches: the measure that other benchmarks are held against.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <adaspan/core/tensor.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// GFLOP/s of the fastest of a step's own products: x [B*M, in] w^T [in, out], dy w and dy^T x of
/// each linear layer; x, y and dy of `type`.
double gemm_peak(const TrainingConfig& config, DType type);

/// GFLOP/s of each linear layer's three products, in the precision that the configuration names:
/// -> {precision, gemm_peak_gflops, products: [{layer, in, out, forward, data_gradient,
/// weight_gradient}]}
nlohmann::ordered_json bench_gemm(const TrainingConfig& config);

}  // namespace adaspan
