// SPDX-License-Identifier: MIT
// What this machine's matrix product reaches: the measure that other benchmarks are held against.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <nlohmann/json_fwd.hpp>

#include <adaspan/core/tensor.h>
#include <adaspan/train/run/settings.h>

namespace adaspan {

/// Seconds of the fastest of `times` calls.
template <class Work>
double fastest(int64_t times, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  return best;
}

/// GFLOP/s of the fastest of a step's own products: x [B*M, in] w^T [in, out], dy w and dy^T x of
/// each linear layer; x, y and dy of `type`.
double gemm_peak(const Settings& settings, DType type);

/// GFLOP/s of each linear layer's three products, in the precision that the settings name:
/// -> {precision, gemm_peak_gflops, products: [{layer, in, out, forward, data_gradient,
/// weight_gradient}]}
nlohmann::ordered_json bench_gemm(const Settings& settings);

}  // namespace adaspan
