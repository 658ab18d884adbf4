// SPDX-License-Identifier: MIT
// What this machine's matrix product reaches: the measure that other benchmarks are held against.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include <adaspan/core/tensor.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// The fastest of a step's own products: x [B*M, in] w^T [in, out], dy w and dy^T x of
/// each linear layer; x, y and dy of `type`; measured in turn with what is held against it.
class GemmPeak {
 public:
  /// Multiplies each once, to know which are fast.
  GemmPeak(const TrainingConfig& config, DType type);
  ~GemmPeak();
  GemmPeak(const GemmPeak&) = delete;
  GemmPeak& operator=(const GemmPeak&) = delete;

  /// Seconds of a thousand million operations, of the fastest of as many products as begin within a
  /// tenth of a second, the fastest so far first. Between turns it keeps no memory.
  double turn();

 private:
  struct Product;

  int64_t tokens_;
  DType type_;
  std::vector<Product> products_;
};

/// GFLOP/s of each linear layer's three products, in the precision that the configuration names:
/// -> {precision, gemm_peak_gflops, products: [{layer, in, out, forward, data_gradient,
/// weight_gradient, spread}], disturbed, ...}; the spread is the largest of the three
nlohmann::ordered_json bench_gemm(const TrainingConfig& config);

}  // namespace adaspan
