// SPDX-License-Identifier: MIT
#include "app/bench/bench_step.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/profile.h"
#include "adaspan/core/random.h"
#include "adaspan/core/shallow_json.h"
#include "adaspan/models/cost.h"
#include "adaspan/train/run/memory_check.h"
#include "adaspan/train/run/trainer.h"
#include "app/bench/bench_gemm.h"
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

/// 1, 1 + 1/2, 1 + 1/2 + 1/3 ...
std::vector<double> harmonic_sums(int64_t count) {
  std::vector<double> sums;
  double sum = 0;
  for (int64_t rank = 1; rank <= count; ++rank) {
    sums.push_back(sum += 1 / static_cast<double>(rank));
  }
  return sums;
}

/// Uniform ids, or such as words are: with adaptive input and output, what a step costs depends on
/// how rare they are. There the frequency of an id is proportional to 1 / (id + 1).
TokenStream random_tokens(int64_t count, const ModelConfig& c) {
  const RandomKey key{.purpose = Purpose::benchmark};
  const bool words = c.adaptive_io.on;
  const std::vector<double> sums = harmonic_sums(words ? c.vocabulary : 0);
  Tensor ids({count}, DType::i32);
  for (int64_t i = 0; i < count; ++i) {
    const double u = random_uniform(key, static_cast<uint64_t>(i));
    ids.data<int32_t>()[i] =
        static_cast<int32_t>(words ? std::ranges::upper_bound(sums, u * sums.back()) - sums.begin()
                                   : static_cast<int64_t>(u * static_cast<double>(c.vocabulary)));
  }
  return TokenStream::of(std::move(ids), "random tokens");
}

void set_spans(Transformer& model, const std::vector<std::vector<float>>& spans) {
  const std::vector<Parameter*> ratios = model.span_ratios();
  for (size_t l = 0; l < spans.size(); ++l) {
    for (size_t h = 0; h < spans[l].size(); ++h) {
      ratios[l]->value().data()[h] = spans[l][h] / static_cast<float>(model.config().span_limit);
    }
  }
}

std::vector<std::vector<float>> spans_of_file(const std::string& path, const ModelConfig& config) {
  const auto expect = [&](bool fits, const std::string& got) {
    require(
        fits,
        "[bench] expected in {} a JSON list of {} layers, each a list of {} spans z in [0, {}]; "
        "got {}; write one for this model, or change its settings",
        path, config.layers, config.heads, config.span_limit, got);
  };
  const nlohmann::ordered_json layers = shallow_json(read_text(path));
  expect(layers.is_array(), "something else");
  expect(layers.size() == static_cast<size_t>(config.layers),
         fmt::format("{} layers", layers.size()));
  std::vector<std::vector<float>> spans;
  for (const auto& layer : layers) {
    expect(layer.is_array() && layer.size() == static_cast<size_t>(config.heads),
           fmt::format("{} spans in layer {}", layer.is_array() ? layer.size() : 0, spans.size()));
    std::vector<float>& row = spans.emplace_back();
    for (const auto& z : layer) {
      expect(z.is_number() && z >= 0 && z <= config.span_limit,
             fmt::format("{} for head {} of layer {}", z.is_primitive() ? z.dump() : "a list",
                         row.size(), spans.size() - 1));
      row.push_back(z.get<float>());
    }
  }
  return spans;
}

/// [B,H] normal numbers, as the layer norms before a memory make.
Tensor random_step(const TrainingConfig& c) {
  const RandomKey key{.purpose = Purpose::benchmark, .site = 1};
  Tensor step({c.batch.sequences, c.model.hidden});
  for (int64_t i = 0; i < step.elements(); ++i) {
    step.data()[i] = static_cast<float>(random_normal(key, static_cast<uint64_t>(i)));
  }
  return step.converted(c.model.precision);
}

/// All the memory that layers keep, of one step again and again: only with it does a step cost what
/// the steps of a run cost.
Memory full_memory(const TrainingConfig& c, const std::vector<std::vector<float>>& spans) {
  const Tensor step = random_step(c);
  Memory memory;
  for (const auto& layer : spans) {
    const int64_t C = memory_length(c.model, std::ranges::max(layer));
    Tensor steps({C, step.shape()[0], step.shape()[1]}, step.type());
    with_type(step.type(), [&]<class T>(T) {
      for (int64_t i = 0; i < C; ++i) {
        std::ranges::copy(step.values<T>(), steps.data<T>() + i * step.elements());
      }
    });
    memory.emplace_back(share(std::move(steps)));
  }
  return memory;
}

/// Gives the trainer a full memory in the place of none.
void fill_memory(Trainer& trainer, const std::vector<std::vector<float>>& spans) {
  Trainer::Progress progress = trainer.progress();
  progress.memory = full_memory(trainer.config(), spans);
  progress.train.column = trainer.config().batch.block;  // at column 0 the stream would begin anew
  trainer.restore(std::move(progress));
}

nlohmann::ordered_json profile_rows(std::vector<ProfileRow> rows, double step) {
  ProfileRow rest{.kernel = "the rest", .calls = 1, .seconds = step};
  for (const ProfileRow& row : rows) rest.seconds -= row.seconds;
  rows.push_back(rest);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ProfileRow& row : rows) {
    json.push_back({{"kernel", row.kernel},
                    {"calls", row.calls},
                    {"seconds", row.seconds},
                    {"share", row.seconds / step},
                    {"waiting", row.waiting},
                    {"gflops", 1e-9 * row.flops / row.seconds},
                    {"gb_per_s", 1e-9 * row.bytes / row.seconds},
                    {"loops", row.loops},
                    {"plans", row.plans},
                    {"buffers", row.buffers},
                    {"pieces", row.pieces}});
  }
  return json;
}

}  // namespace

std::vector<std::vector<float>> span_pattern(const std::string& name, const ModelConfig& config) {
  const auto S = static_cast<float>(config.span_limit);
  const auto heads = static_cast<size_t>(config.heads), layers = static_cast<size_t>(config.layers);
  std::vector<std::vector<float>> spans(layers, std::vector<float>(heads, 0));
  if (name == "initial") return spans;
  if (name != "trained" && name != "full") {
    require(std::filesystem::is_regular_file(name),
            "[bench] expected --spans to be initial, trained, full or a file; got \"{}\"", name);
    return spans_of_file(name, config);
  }
  for (size_t l = 0; l < layers; ++l) {
    std::fill(spans[l].begin(), spans[l].end(), name == "full" ? S : 20.0f);
    if (name == "trained" && l >= layers / 2) spans[l][0] = std::floor(0.6f * S);
  }
  return spans;
}

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
  c.model.span_loss = 0;  // the spans stay where the pattern puts them, but for the noise of a step
  require_training_memory(c, spans, /*going_on=*/false);
  const DType type = c.model.precision;
  GemmPeak products(c, type);
  // f32 beside bf16 is for the reader alone; in turn, its memory would not be a step's.
  const double f32_before = type == DType::f32 ? 0 : 1 / GemmPeak(c, DType::f32).turn();
  release_kept_buffers();

  const int64_t columns = (options.steps + kTurns + 2) * c.batch.block + 1;
  TokenStream tokens = random_tokens(c.batch.sequences * columns, c.model);
  Trainer trainer(c, c.model.vocabulary, tokens, tokens);
  const auto step = [&] {
    set_spans(trainer.model(), spans);
    trainer.step();
  };
  fill_memory(trainer, spans);
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
