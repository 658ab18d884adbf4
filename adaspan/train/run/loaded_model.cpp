// SPDX-License-Identifier: MIT
#include "adaspan/train/run/loaded_model.h"

#include <fmt/core.h>

#include <cmath>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/memory_check.h"

namespace adaspan {

LoadedModel load_model(const std::filesystem::path& path, Weights weights) {
  const SafetensorsFile file = open_checkpoint(path);
  LoadedModel loaded{read_header(file), nullptr, ""};
  const TrainingConfig& config = loaded.header.config;
  require(weights == Weights::last || config.optimizer.average > 0,
          "[checkpoint] expected averaged weights in {}; got a checkpoint without; take the last "
          "ones, or train with optimizer.average, as 0.999",
          path.string());
  ModelConfig model = config.model;
  if (model.precision == DType::bf16 && !bf16_obstacle().empty()) {
    model.precision = DType::f32;
    loaded.note = fmt::format("{} was trained in bf16; here it runs in f32, since {}",
                              path.string(), bf16_obstacle());
  }
  // A small file that says it is large is refused by its shapes, and not for want of memory.
  const MemoryNeed need = weights_need(model);
  if (need.weights <= static_cast<double>(std::filesystem::file_size(path))) {
    require_memory("this model's weights", need, "use a machine with more");
  }
  loaded.model = make_model(model, file);
  copy_weights(*loaded.model, file, weights);
  return loaded;
}

Corpus open_corpus(const CheckpointHeader& header, const std::string& data) {
  const std::string& own = header.config.run.data;
  require(!data.empty() || !own.empty(),
          "[checkpoint] expected run.data with a corpus, which this checkpoint does not name; got "
          "none; make one with 'adaspan prepare'");
  Corpus corpus = Corpus::open(data.empty() ? own : data);
  check_vocabulary(header, corpus.identity());
  return corpus;
}

PartEvaluation evaluate_part(const LoadedModel& loaded, const Corpus& corpus, Part part) {
  const TokenStream stream = TokenStream::of(corpus, part);
  const int64_t B = kEvaluationBatch, M = loaded.header.config.batch.block;
  require_memory("this evaluation",
                 evaluation_need(loaded.model->config(), B, M, stream.size, loaded.model->spans()),
                 "use a machine with more");
  ScoreKeeper keeper(corpus, part);
  PartEvaluation result{
      evaluate(*loaded.model, stream, B, M,
               [&](const Tensor& inputs, const Tensor& targets, const Tensor& losses) {
                 keeper.add(inputs, targets, losses);
               }),
      {}};
  require(std::isfinite(result.loss),
          "[eval] expected a finite loss on the {} part; got {}; the weights are of a run that has "
          "diverged: take an older checkpoint",
          name(part), std::abs(result.loss));
  result.score = keeper.score(/*with_last=*/result.tokens == stream.size - B);
  return result;
}

}  // namespace adaspan
