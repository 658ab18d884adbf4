// SPDX-License-Identifier: MIT
#include "train/tools/bench_step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/cpu.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/random.h"
#include "ops/gemm.h"
#include "ops/kernels/row_kernels.h"
#include "train/run/trainer.h"
#include "train/tools/cost.h"

namespace adaspan {
namespace {

constexpr int64_t kVocabulary = 205;  // of enwik8

/// Seconds of the fastest of `times` calls.
template <class Work>
double fastest(int64_t times, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

TokenStream random_tokens(int64_t count, int64_t vocabulary) {
  const RandomKey key{.purpose = Purpose::benchmark};
  Tensor ids({count}, DType::i32);
  for (int64_t i = 0; i < count; ++i) {
    ids.data<int32_t>()[i] = static_cast<int32_t>(random_uniform(key, static_cast<uint64_t>(i)) *
                                                  static_cast<double>(vocabulary));
  }
  return TokenStream::of(std::move(ids), "random tokens");
}

/// GFLOP/s of the best of the step's own matrix products, x [B*M, in] w^T [in, out].
double gemm_peak(const Settings& s) {
  const int64_t rows = s.batch_sz * s.block_sz;
  const std::pair<int64_t, int64_t> shapes[] = {
      {s.hid_sz, s.hid_sz}, {s.hid_sz, s.inner_hid_sz}, {s.inner_hid_sz, s.hid_sz}};
  double best = 0;
  for (const auto& [in, out] : shapes) {
    const Tensor x = Tensor::filled({rows, in}, 0.5f), w = Tensor::filled({out, in}, 0.25f);
    Tensor y({rows, out});
    const double seconds = fastest(8, [&] {
      gemm(matrix(y.data(), rows, out), matrix(x.data(), rows, in),
           matrix(w.data(), out, in).transposed());
    });
    best = std::max(best, 2e-9 * static_cast<double>(rows * in * out) / seconds);
  }
  return best;
}

void set_spans(Transformer& model, const std::vector<std::vector<float>>& spans) {
  size_t layer = 0;
  for (Parameter* p : model.parameters().all()) {
    if (!p->name().ends_with("current_val")) continue;
    for (size_t h = 0; h < spans[layer].size(); ++h) {
      p->value().data()[h] = spans[layer][h] / static_cast<float>(model.config().span_limit);
    }
    ++layer;
  }
}

}  // namespace

std::vector<std::vector<float>> span_pattern(const std::string& name, const ModelConfig& config) {
  const auto S = static_cast<float>(config.span_limit);
  const auto heads = static_cast<size_t>(config.heads), layers = static_cast<size_t>(config.layers);
  std::vector<std::vector<float>> spans(layers, std::vector<float>(heads, 0));
  if (name == "initial") return spans;
  require(name == "trained" || name == "full",
          "[bench] expected --spans to be initial, trained or full; got \"{}\"", name);
  for (size_t l = 0; l < layers; ++l) {
    std::fill(spans[l].begin(), spans[l].end(), name == "full" ? S : 20.0f);
    if (name == "trained" && l >= layers / 2) spans[l][0] = std::floor(0.6f * S);
  }
  return spans;
}

nlohmann::ordered_json bench_step(const Settings& settings, const std::string& pattern,
                                  int64_t steps) {
  require(steps >= 1, "[bench] expected --steps of at least 1; got {}", steps);
  Settings s = settings;
  require(s.adapt_span && !s.dynamic_span,
          "[bench] expected --adapt-span without --dynamic-span: only those spans can be set");
  s.adapt_span_loss = 0;  // the spans stay where the pattern puts them, but for the noise of a step
  const double peak = gemm_peak(s);

  const ModelConfig config = model_config(s, kVocabulary);
  const auto spans = span_pattern(pattern, config);
  const int64_t memory_blocks = (config.span_limit + s.block_sz - 1) / s.block_sz;
  const int64_t columns = (steps + memory_blocks + 1) * s.block_sz + 1;
  TokenStream tokens = random_tokens(s.batch_sz * columns, kVocabulary);
  Trainer trainer(s, kVocabulary, tokens, tokens);
  const auto step = [&] {
    set_spans(trainer.model(), spans);
    trainer.step();
  };
  // Only with a full memory does a step cost what the steps of a run cost.
  for (int64_t i = 0; i < memory_blocks; ++i) step();
  const double seconds = fastest(steps, step);

  const double flops = useful_flops(config, s.batch_sz, s.block_sz, spans);
  const auto tokens_a_step = static_cast<double>(s.batch_sz * s.block_sz);
  return {{"spans", pattern},
          {"seconds", seconds},
          {"tokens_per_s", tokens_a_step / seconds},
          {"useful_gflops", flops / seconds * 1e-9},
          {"gemm_peak_gflops", peak},
          {"peak_share", flops / seconds * 1e-9 / peak},
          {"peak_rss_gb", static_cast<double>(peak_resident_bytes()) * 1e-9},
          {"peak_tensor_gb", static_cast<double>(memory_use().peak) * 1e-9},
          {"threads", threads()},
          {"kernels", row_kernels().level},
          {"cpu", cpu_report()}};
}

}  // namespace adaspan
