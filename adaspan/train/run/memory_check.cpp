// SPDX-License-Identifier: MIT
#include "adaspan/train/run/memory_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/safetensors.h"
#include "adaspan/models/span.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

/// What counts against a limit.
double counted(const MemoryNeed& need, MemoryLimit limit) {
  return need.total() + (limit == MemoryLimit::addresses ? need.untouched : 0);
}

/// A limit that leaves less than `bytes`.
std::optional<FreeMemory> scarce(const MemoryState& now, int64_t bytes) {
  for (const FreeMemory& free : now.free) {
    if (free.bytes < bytes) return free;
  }
  return std::nullopt;
}

/// "2.0 GB, the free memory of this machine; got a need of 5.1 GB (activations 4.2 GB, ...)"
std::string comparison(const MemoryNeed& need, const FreeMemory& free, const MemoryState& now) {
  const double all = counted(need, free.limit), untouched = all - need.total();
  return fmt::format(
      "{}, {}; got a need of {} ({}{})", bytes_text(static_cast<double>(free.bytes + now.resident)),
      name(free.limit), bytes_text(all), need.text(),
      untouched > 0 ? fmt::format(", addresses alone {}", bytes_text(untouched)) : "");
}

std::vector<int64_t> splits_of(const BatchConfig& batch) {
  if (batch.exact_split) return {batch.split};  // it takes no less for more parts
  std::vector<int64_t> splits;
  for (int64_t n = 1; n <= batch.sequences / n; ++n) {
    if (batch.sequences % n != 0) continue;
    splits.push_back(n);
    splits.push_back(batch.sequences / n);
  }
  std::ranges::sort(splits);
  // Not std::ranges::unique, whose result clang 14 does not understand in GCC 12's library.
  splits.erase(std::unique(splits.begin(), splits.end()), splits.end());
  return splits;
}

bool valid(const TrainingConfig& config) {
  try {
    check(config);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The model itself, with the layers' memory in bf16, and with all activations in it, as far as
/// they are in f32 and this can be run here.
std::vector<ModelConfig> types_of(const TrainingConfig& config) {
  std::vector<ModelConfig> all = {config.model};
  if (config.model.precision != DType::f32) return all;
  if (config.model.cache_precision != CachePrecision::bf16) {
    all.push_back(config.model);
    all.back().cache_precision = CachePrecision::bf16;
  }
  if (bf16_obstacle().empty()) {
    all.push_back(config.model);
    all.back().precision = DType::bf16;
    all.back().cache_precision = CachePrecision::of_activations;
  }
  return all;
}

/// n, n/2, n/4, ... 1
std::vector<int64_t> halves(int64_t n, bool fixed) {
  std::vector<int64_t> all = {n};
  while (!fixed && all.back() > 1) all.push_back(all.back() / 2);
  return all;
}

}  // namespace

std::optional<FreeMemory> lacking(const MemoryNeed& need, const MemoryState& now) {
  std::optional<FreeMemory> worst;
  double most = 0;
  for (const FreeMemory& free : now.free) {
    const double lack = counted(need, free.limit) - static_cast<double>(free.bytes + now.resident);
    if (lack <= most) continue;
    most = lack;
    worst = free;
  }
  return worst;
}

Spans spans_of_run(const TrainingConfig& config) {
  const ModelConfig& model = config.model;
  Spans z = starting_spans(model);
  if (model.span_kind != SpanKind::adaptive || !std::filesystem::exists(config.run.checkpoint)) {
    return z;
  }
  try {
    const SafetensorsFile file(config.run.checkpoint);
    for (size_t l = 0; l < z.size(); ++l) {
      const Tensor ratio = file.tensor(span_ratio_name(static_cast<int64_t>(l)));
      for (size_t h = 0; h < z[l].size() && ratio.elements() == model.heads; ++h) {
        z[l][h] = ratio.data()[h] * static_cast<float>(model.span_limit);
      }
    }
  } catch (const Error&) {  // whoever goes on from it says what is wrong
  }
  return z;
}

Spans full_spans(const ModelConfig& config) {
  return Spans(
      static_cast<size_t>(config.layers),
      std::vector(static_cast<size_t>(config.heads), static_cast<float>(config.span_limit)));
}

void require_memory(const char* what, const MemoryNeed& need, const std::string& advice,
                    const MemoryState& now) {
  const std::optional<FreeMemory> limit = lacking(need, now);
  if (!limit) return;
  throw OutOfMemory(fmt::format("[memory] expected {} to fit into {}; {}", what,
                                comparison(need, *limit, now), advice));
}

std::string changes_text(const TrainingConfig& from, const TrainingConfig& to) {
  std::string text;
  const std::vector<FieldChange> all = changes(to_json(from), to);
  for (const FieldChange& one : all) {
    if (!text.empty()) text += &one == &all.back() ? " and " : ", ";
    text += one.field.path;
    std::string value = one.now;
    std::erase(value, '"');  // of JSON
    if (value != "true") text += " " + value;
  }
  return text;
}

std::optional<TrainingConfig> settings_that_fit(const TrainingConfig& config, const Spans& z,
                                                bool going_on, const MemoryState& now) {
  const std::vector<ModelConfig> narrower = going_on ? std::vector{config.model} : types_of(config);
  TrainingConfig some = config;
  for (int64_t block : halves(config.batch.block, going_on)) {
    some.batch.block = block;
    for (int64_t sequences : halves(config.batch.sequences, going_on)) {
      some.batch.sequences = sequences;
      for (const ModelConfig& model : narrower) {
        some.model = model;
        for (const bool recompute : {false, true}) {
          some.batch.recompute = recompute || config.batch.recompute;
          for (int64_t split : splits_of(some.batch)) {
            some.batch.split = split;
            if (valid(some) && !lacking(training_need(some, z), now)) return some;
          }
        }
      }
    }
  }
  return std::nullopt;
}

std::vector<TrainingConfig> leaner_settings(const TrainingConfig& config) {
  std::vector<TrainingConfig> all;
  for (int64_t split : splits_of(config.batch)) {
    if (split <= config.batch.split || all.size() == 2) continue;
    all.push_back(config);
    all.back().batch.split = split;
  }
  if (!config.batch.recompute) {
    all.push_back(config);
    all.back().batch.recompute = true;
  }
  const std::vector<ModelConfig> narrower = types_of(config);
  for (size_t i = 1; i < narrower.size(); ++i) {
    all.push_back(config);
    all.back().model = narrower[i];
  }
  return all;
}

void require_training_memory(const TrainingConfig& config, const Spans& z, bool going_on,
                             const MemoryState& now) {
  const MemoryNeed need = training_need(config, z);
  const std::optional<FreeMemory> limit = lacking(need, now);
  if (!limit) return;
  std::string advice = "no batch or block makes it fit: take a smaller model";
  if (going_on)
    advice = "neither batch.split nor batch.recompute makes it fit: go on where there is more";
  if (const auto fitting = settings_that_fit(config, z, going_on, now)) {
    advice = fmt::format("{} would need {}", changes_text(config, *fitting),
                         bytes_text(counted(training_need(*fitting, z), limit->limit)));
  }
  require_memory("this training", need, advice, now);
}

std::string require_run_memory(const TrainingConfig& config, const MemoryState& now) {
  // A model of more layers than memory could hold must not be counted layer by layer.
  require_memory("this model's weights", weights_need(config.model), "take a smaller model", now);
  require_training_memory(config, spans_of_run(config),
                          /*going_on=*/std::filesystem::exists(config.run.checkpoint), now);
  if (config.model.span_kind == SpanKind::fixed) return "";
  const MemoryNeed most = training_need(config, full_spans(config.model));
  const std::optional<FreeMemory> limit = lacking(most, now);
  if (!limit) return "";
  return fmt::format(
      "there is memory for this training, but not for every span at its limit of {}: that would "
      "need {} of {}; spans rarely grow so far, and if they do the run is saved and ends",
      config.model.span_limit, bytes_text(counted(most, limit->limit)),
      bytes_text(static_cast<double>(limit->bytes + now.resident)));
}

void MemoryWatch::look(const Spans& z, const MemoryState& now) {
  const MemoryNeed need = training_need(config_, z);
  if (need.total() <= largest_) return;
  MemoryNeed mapped = need;
  mapped.untouched = 0;  // long there
  require_memory("the next step", mapped, "go on with a larger batch.split", now);
  largest_ = need.total();
}

void MemoryWatch::look(const Spans& z) {
  if (training_need(config_, z).total() > largest_) look(z, MemoryState());
  // While the memory fills, sizes change from step to step, and buffers of the old ones are kept:
  // the pool may have to be made once more within a step.
  const auto reserved = static_cast<int64_t>(pool_use().reserved);
  if (reserved <= reserved_) return;
  if (!scarce(MemoryState(), reserved)) {
    reserved_ = reserved;
    return;
  }
  release_kept_buffers();
  const PoolUse use = pool_use();
  const auto step = static_cast<int64_t>((use.peak - use.in_use) * 9 / 8);  // grown by an eighth
  const MemoryState now;
  const std::optional<FreeMemory> limit = scarce(now, step);
  if (!limit) return;
  throw OutOfMemory(fmt::format(
      "[memory] expected {} for the next step; got {} left of {}, {}; go on with a larger "
      "batch.split",
      bytes_text(static_cast<double>(step)), bytes_text(static_cast<double>(limit->bytes)),
      bytes_text(static_cast<double>(limit->bytes + now.resident)), name(limit->limit)));
}

}  // namespace adaspan
