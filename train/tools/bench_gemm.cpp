// SPDX-License-Identifier: MIT
#include "train/tools/bench_gemm.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/cpu.h"
#include "core/parallel.h"
#include "ops/gemm.h"

namespace adaspan {
namespace {

constexpr int64_t kTimes = 8;

struct Layer {
  const char* name;
  int64_t in, out;
};

std::vector<Layer> linear_layers(const Settings& s) {
  return {{"query, key, value", s.hid_sz, 3 * s.hid_sz},
          {"attention output", s.hid_sz, s.hid_sz},
          {"feed-forward 1", s.hid_sz, s.inner_hid_sz},
          {"feed-forward 2", s.inner_hid_sz, s.hid_sz}};
}

/// The products of one layer on numbers that cost what any others do.
struct Products {
  Products(int64_t tokens, const Layer& layer, DType type)
      : x(Tensor::filled({tokens, layer.in}, 0.5f).converted(type)),
        y(Tensor::filled({tokens, layer.out}, 0.25f).converted(type)),
        w(Tensor::filled({layer.out, layer.in}, 0.125f)),
        flops(2.0 * static_cast<double>(tokens * layer.in * layer.out)) {}

  double forward() {
    return rate([&] { gemm(matrix(y), matrix(x), matrix(std::as_const(w)).transposed()); });
  }
  double data_gradient() {
    return rate([&] { gemm(matrix(x), matrix(y), matrix(std::as_const(w))); });
  }
  double weight_gradient() {
    return rate(
        [&] { gemm_long_sums(matrix(w), matrix(std::as_const(y)), matrix(std::as_const(x))); });
  }

 private:
  template <class Work>
  double rate(const Work& work) const {
    return 1e-9 * flops / fastest(kTimes, work);
  }

  Tensor x, y, w;
  double flops;
};

int64_t tokens_of(const Settings& s) {
  return s.batch_sz / s.batch_split * s.block_sz;
}

}  // namespace

double gemm_peak(const Settings& settings, DType type) {
  double best = 0;
  for (const Layer& layer : linear_layers(settings)) {
    best = std::max(best, Products(tokens_of(settings), layer, type).forward());
  }
  return best;
}

nlohmann::ordered_json bench_gemm(const Settings& settings) {
  const DType type = precision_of(settings);
  nlohmann::ordered_json products = nlohmann::ordered_json::array();
  double peak = 0;
  for (const Layer& layer : linear_layers(settings)) {
    Products p(tokens_of(settings), layer, type);
    const double forward = p.forward();
    peak = std::max(peak, forward);
    products.push_back({{"layer", layer.name},
                        {"in", layer.in},
                        {"out", layer.out},
                        {"forward", forward},
                        {"data_gradient", p.data_gradient()},
                        {"weight_gradient", p.weight_gradient()}});
  }
  return {{"precision", name(type)}, {"gemm_peak_gflops", peak}, {"tokens", tokens_of(settings)},
          {"threads", threads()},    {"isa", name(isa())},       {"cpu", cpu_report()},
          {"products", products}};
}

}  // namespace adaspan
