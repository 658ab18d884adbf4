// SPDX-License-Identifier: MIT
#include "app/bench/bench_gemm.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "adaspan/ops/gemm.h"
#include "app/bench/bench_step.h"
#include "app/bench/turns.h"

namespace adaspan {
namespace {

struct Layer {
  const char* name;
  int64_t in, out;
};

std::vector<Layer> linear_layers(const ModelConfig& c) {
  std::vector<Layer> layers{{"query, key, value", c.hidden, 3 * c.hidden},
                            {"attention output", c.hidden, c.hidden}};
  if (c.persistent == 0) {
    layers.push_back({"feed-forward 1", c.hidden, c.inner});
    layers.push_back({"feed-forward 2", c.inner, c.hidden});
  }
  return layers;
}

enum class Kind { forward, data_gradient, weight_gradient };

Tensor filled(Shape shape, DType type, float value) {
  Tensor result(std::move(shape), type);
  with_type(type, [&]<class T>(T) {
    std::fill_n(result.data<T>(), result.elements(), from_float<T>(value));
  });
  return result;
}

/// The products of one layer on numbers that cost what any others do.
class LayerProducts {
 public:
  LayerProducts(int64_t tokens, const Layer& layer, DType type)
      : x(filled({tokens, layer.in}, type, 0.5f)),
        y(filled({tokens, layer.out}, type, 0.25f)),
        w(filled({layer.out, layer.in}, DType::f32, 0.125f)) {}

  /// Seconds of a thousand million operations.
  double time(Kind kind) {
    const double flops = 2.0 * static_cast<double>(x.elements() * y.shape()[1]);
    return 1e9 / flops * fastest([&] { multiply(kind); });
  }

 private:
  void multiply(Kind kind) {
    const Tensor &const_x = x, &const_y = y, &const_w = w;
    switch (kind) {
      case Kind::forward:
        return gemm(matrix(y), matrix(const_x), matrix(const_w).transposed());
      case Kind::data_gradient:
        return gemm(matrix(x), matrix(const_y), matrix(const_w));
      case Kind::weight_gradient:
        return gemm_long_sums(matrix(w), matrix(const_y), matrix(const_x));
    }
  }

  Tensor x, y, w;
};

int64_t tokens_of(const BatchConfig& c) {
  return c.sequences / c.split * c.block;
}

}  // namespace

struct GemmPeak::Product {
  Layer layer;
  Kind kind;
  double best;  // of its seconds

  double time(int64_t tokens, DType type) {
    const double seconds = LayerProducts(tokens, layer, type).time(kind);
    best = std::min(best, seconds);
    return seconds;
  }
};

GemmPeak::GemmPeak(const TrainingConfig& config, DType type)
    : tokens_(tokens_of(config.batch)), type_(type) {
  for (const Layer& layer : linear_layers(config.model)) {
    for (Kind kind : {Kind::forward, Kind::data_gradient, Kind::weight_gradient}) {
      products_.push_back({layer, kind, std::numeric_limits<double>::infinity()});
      products_.back().time(tokens_, type_);
    }
  }
}

GemmPeak::~GemmPeak() = default;

double GemmPeak::turn() {
  constexpr double kEnough = 0.1;
  std::ranges::sort(products_, {}, &Product::best);
  double best = std::numeric_limits<double>::infinity(), all = 0;
  for (Product& product : products_) {
    if (all > kEnough) break;
    all += seconds_of([&] { best = std::min(best, product.time(tokens_, type_)); });
  }
  return best;
}

nlohmann::ordered_json bench_gemm(const TrainingConfig& config) {
  require_layer_memory(config, 0);
  const DType type = config.model.precision;
  const std::vector<Layer> layers = linear_layers(config.model);
  std::vector<std::array<Turns, 3>> times(layers.size());  // of each Kind
  Turns peak;
  for (int64_t turn = -1; turn < kTurns; ++turn) {
    double best = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < layers.size(); ++i) {
      LayerProducts products(tokens_of(config.batch), layers[i], type);
      for (size_t kind = 0; kind < 3; ++kind) {
        const double seconds = products.time(static_cast<Kind>(kind));
        if (turn < 0) continue;  // the first calls make kernels and threads
        times[i][kind].add(seconds);
        best = std::min(best, seconds);
      }
    }
    if (turn >= 0) peak.add(best);
  }

  nlohmann::ordered_json products = nlohmann::ordered_json::array();
  double widest = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [forward, data_gradient, weight_gradient] = times[i];
    const double spread =
        std::max({forward.spread(), data_gradient.spread(), weight_gradient.spread()});
    widest = std::max(widest, spread);
    products.push_back({{"layer", layers[i].name},
                        {"in", layers[i].in},
                        {"out", layers[i].out},
                        {"forward", 1 / forward.best()},
                        {"data_gradient", 1 / data_gradient.best()},
                        {"weight_gradient", 1 / weight_gradient.best()},
                        {"spread", spread}});
  }
  return {{"precision", name(type)},
          {"gemm_peak_gflops", 1 / peak.best()},
          {"gemm_peak_spread", peak.spread()},
          {"tokens", tokens_of(config.batch)},
          {"products", products},
          {"disturbed", disturbance(peak.spread(), "a product", widest)}};
}

}  // namespace adaspan
