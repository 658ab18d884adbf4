// SPDX-License-Identifier: MIT
#include "app/bench/bench_step.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"
#include "adaspan/models/cost.h"
#include "adaspan/train/run/memory_check.h"
#include "app/bench/bench_gemm.h"
#include "app/bench/profile_rows.h"
#include "app/bench/steady_training.h"
#include "app/bench/turns.h"

namespace adaspan {
namespace {

constexpr int64_t kVocabulary = 205, kWords = 267'735;  // of enwik8, of WikiText-103
constexpr int64_t kMostTimedSteps = 10'000;

/// That of a corpus such as the configuration is made for.
int64_t vocabulary_of(const ModelConfig& c) {
  if (!c.adaptive_io.on) return kVocabulary;
  return std::max(kWords, c.adaptive_io.cutoffs.back() + c.adaptive_io.cutoffs.back() / 3 + 1);
}

}  // namespace

void require_settable_spans(const ModelConfig& config) {
  require(config.span_kind == SpanKind::adaptive,
          "[bench] expected --adapt-span without --dynamic-span, spans that can be set; got {}; "
          "choose a preset that has such spans, as --preset enwik8_small, or other options",
          config.span_kind == SpanKind::dynamic ? "--dynamic-span" : "--no-adapt-span");
}

void require_layer_memory(const TrainingConfig& config, float z) {
  TrainingConfig layer = config;
  layer.model.layers = 1;
  layer.model.vocabulary = kVocabulary;
  layer.model.adaptive_io.on = false;
  require_training_memory(layer, {std::vector(static_cast<size_t>(config.model.heads), z)},
                          /*going_on=*/false);
}

nlohmann::ordered_json bench_step(const TrainingConfig& given, const BenchStepOptions& options) {
  require(options.steps >= 1 && options.steps <= kMostTimedSteps,
          "[bench] expected --steps of 1 to {}; got {}", kMostTimedSteps, options.steps);
  require_settable_spans(given.model);
  const auto spans = span_pattern(options.spans, given.model);
  TrainingConfig c = given;
  c.model.vocabulary = vocabulary_of(c.model);
  require_training_memory(c, spans, /*going_on=*/false);
  const DType type = c.model.precision;
  GemmPeak products(c, type);
  // f32 beside bf16 is for the reader alone; in turn, its memory would not be a step's.
  const double f32_before = type == DType::f32 ? 0 : 1 / GemmPeak(c, DType::f32).turn();
  release_kept_buffers();

  SteadyTraining training(c, spans, options.steps + kTurns + 1);
  const auto step = [&] { training.step(); };
  step();  // whose buffers are new
  Turns times, peaks;
  size_t resident = 0, in_tensors = 0;
  const int64_t turns = std::min(options.steps, kTurns);
  for (int64_t turn = 0, done = 0; turn < turns; ++turn) {
    double best = std::numeric_limits<double>::infinity();
    for (; done < options.steps * (turn + 1) / turns; ++done) {
      best = std::min(best, seconds_of(step));
    }
    times.add(best);
    if (turn == 0) {  // the most that a step has needed; products beside it are none of it
      resident = peak_resident_bytes();
      in_tensors = pool_use().peak;
    }
    peaks.add(products.turn());
  }
  const double seconds = times.best(), peak = 1 / peaks.best();

  const double flops = useful_flops(c.model, c.batch.sequences, c.batch.block, spans);
  const auto tokens_per_step = static_cast<double>(c.batch.sequences * c.batch.block);
  nlohmann::ordered_json result = {
      {"spans", options.spans},
      {"precision", name(type)},
      {"seconds", seconds},
      {"spread", times.spread()},
      {"tokens_per_s", tokens_per_step / seconds},
      {"useful_gflops", flops / seconds * 1e-9},
      {"gemm_peak_gflops", peak},
      {"gemm_peak_spread", peaks.spread()},
      {"peak_share", flops / seconds * 1e-9 / peak},
      {"gemm_peak_f32_gflops", type == DType::f32 ? peak : f32_before},
      {"peak_rss_gb", static_cast<double>(resident) * 1e-9},
      {"peak_tensor_gb", static_cast<double>(in_tensors) * 1e-9},
      {"disturbed", disturbance(peaks.spread(), "a step", times.spread())}};
  if (options.profile) {
    double best = std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < turns; ++i) {
      start_profile();
      const double profiled = seconds_of(step);
      const std::vector<ProfileRow> rows = stop_profile();
      if (profiled >= best) continue;
      best = profiled;
      result["profile"] = profile_rows(rows, best);
    }
  }
  return result;
}

}  // namespace adaspan
