// SPDX-License-Identifier: MIT
#include "app/bench/given_spans.h"

#include <algorithm>
#include <filesystem>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "adaspan/train/run/checkpoint.h"

namespace adaspan {
namespace {

/// [steps,B,H]: one step of normal numbers again and again.
Tensor repeated_step(const TrainingConfig& c, int64_t steps) {
  const RandomKey key{.purpose = Purpose::benchmark, .site = 1};
  const int64_t B = c.batch.sequences, H = c.model.hidden;
  Tensor step({B, H});
  for (int64_t i = 0; i < step.elements(); ++i) {
    step.data()[i] = static_cast<float>(random_normal(key, static_cast<uint64_t>(i)));
  }
  const Tensor rounded = step.converted(c.model.cache_type());
  Tensor all({steps, B, H}, rounded.type());
  with_type(rounded.type(), [&]<class T>(T) {
    for (int64_t i = 0; i < steps; ++i) {
      std::ranges::copy(rounded.values<T>(), all.data<T>() + i * step.elements());
    }
  });
  return all;
}

}  // namespace

void set_spans(Transformer& model, const std::vector<std::vector<float>>& spans) {
  const std::vector<Parameter*> ratios = model.span_ratios();
  for (size_t l = 0; l < ratios.size(); ++l) {
    for (size_t h = 0; h < spans[l].size(); ++h) {
      ratios[l]->value().data()[h] = spans[l][h] / static_cast<float>(model.config().span_limit);
    }
  }
}

void fill_memory(Trainer& trainer, const std::vector<std::vector<float>>& spans) {
  const TrainingConfig& c = trainer.config();
  const int64_t M = c.batch.block;
  const auto text = Trainer::MemoryOf::train;
  for (int64_t l = 0; l < c.model.layers; ++l) {
    const int64_t C = memory_length(c.model, std::ranges::max(spans[static_cast<size_t>(l)]));
    std::vector<LayerMemory> parts;
    for (const LayerMemory& old : trainer.layer_memory(text, l)) {
      parts.emplace_back(old.shape()[1], old.shape()[2], old.type());
    }
    // In blocks, as a run would have it.
    for (int64_t begin = 0, end = C % M; end <= C; begin = end, end += M) {
      if (begin < end) extend_side_by_side(parts, repeated_step(c, end - begin));
    }
    trainer.set_layer_memory(text, l, parts);
  }
  Trainer::Progress progress = trainer.progress();
  progress.train.column = M;  // at column 0 the stream would begin anew
  trainer.restore(progress);
}

void save_given_spans(const std::string& path, Trainer& trainer,
                      const std::vector<std::vector<float>>& spans) {
  require(!std::filesystem::exists(path),
          "[bench] expected the name of a new file; got {}, which is there already", path);
  set_spans(trainer.model(), spans);
  fill_memory(trainer, spans);
  // As many steps as fill a memory lie behind it: what is asked for memory goes by that.
  const TrainingConfig& c = trainer.config();
  Trainer::Progress progress = trainer.progress();
  progress.step = (c.model.span_limit + c.batch.block - 1) / c.batch.block;
  trainer.restore(progress);
  save_checkpoint(path, trainer);
}

}  // namespace adaspan
