// SPDX-License-Identifier: MIT
#include "app/bench/bench_gemm.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/ops/gemm.h"
#include "app/bench/bench_step.h"
#include "app/bench/fastest.h"

namespace adaspan {
namespace {

constexpr int64_t kTimes = 8;

struct Layer {
  const char* name;
  int64_t in, out;
};

std::vector<Layer> linear_layers(const ModelConfig& c) {
  return {{"query, key, value", c.hidden, 3 * c.hidden},
          {"attention output", c.hidden, c.hidden},
          {"feed-forward 1", c.hidden, c.inner},
          {"feed-forward 2", c.inner, c.hidden}};
}

/// GFLOP/s of a layer's products
struct Rates {
  double forward, data_gradient, weight_gradient;
  double best() const { return std::max({forward, data_gradient, weight_gradient}); }
};

/// The products of one layer on numbers that cost what any others do.
class Products {
 public:
  Products(int64_t tokens, const Layer& layer, DType type)
      : x(Tensor::filled({tokens, layer.in}, 0.5f).converted(type)),
        y(Tensor::filled({tokens, layer.out}, 0.25f).converted(type)),
        w(Tensor::filled({layer.out, layer.in}, 0.125f)),
        flops(2.0 * static_cast<double>(tokens * layer.in * layer.out)) {}

  Rates rates() {
    return {rate([&] { gemm(matrix(y), matrix(x), matrix(std::as_const(w)).transposed()); }),
            rate([&] { gemm(matrix(x), matrix(y), matrix(std::as_const(w))); }), rate([&] {
              gemm_long_sums(matrix(w), matrix(std::as_const(y)), matrix(std::as_const(x)));
            })};
  }

 private:
  template <class Work>
  double rate(const Work& work) const {
    return 1e-9 * flops / fastest(kTimes, work);
  }

  Tensor x, y, w;
  double flops;
};

int64_t tokens_of(const BatchConfig& c) {
  return c.sequences / c.split * c.block;
}

}  // namespace

double gemm_peak(const TrainingConfig& config, DType type) {
  double best = 0;
  for (const Layer& layer : linear_layers(config.model)) {
    best = std::max(best, Products(tokens_of(config.batch), layer, type).rates().best());
  }
  return best;
}

nlohmann::ordered_json bench_gemm(const TrainingConfig& config) {
  require_layer_memory(config, 0);
  const DType type = config.model.precision;
  nlohmann::ordered_json products = nlohmann::ordered_json::array();
  double peak = 0;
  for (const Layer& layer : linear_layers(config.model)) {
    const Rates rates = Products(tokens_of(config.batch), layer, type).rates();
    peak = std::max(peak, rates.best());
    products.push_back({{"layer", layer.name},
                        {"in", layer.in},
                        {"out", layer.out},
                        {"forward", rates.forward},
                        {"data_gradient", rates.data_gradient},
                        {"weight_gradient", rates.weight_gradient}});
  }
  return {{"precision", name(type)},
          {"gemm_peak_gflops", peak},
          {"tokens", tokens_of(config.batch)},
          {"products", products}};
}

}  // namespace adaspan
