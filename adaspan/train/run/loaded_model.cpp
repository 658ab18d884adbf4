// SPDX-License-Identifier: MIT
#include "adaspan/train/run/loaded_model.h"

#include <fmt/core.h>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/memory_check.h"

namespace adaspan {

LoadedModel load_model(const std::filesystem::path& path) {
  const SafetensorsFile file = open_checkpoint(path);
  LoadedModel loaded{read_header(file), nullptr, ""};
  const TrainingConfig& config = loaded.header.config;
  ModelConfig model = config.model;
  if (model.precision == DType::bf16 && !bf16_obstacle().empty()) {
    model.precision = DType::f32;
    loaded.note = fmt::format("{} was trained in bf16; here it runs in f32, since {}",
                              path.string(), bf16_obstacle());
  }
  require_memory("this model's weights", weights_need(model), "use a machine with more");
  loaded.model = std::make_unique<Transformer>(model, static_cast<uint64_t>(config.run.seed));
  copy_weights(*loaded.model, file);
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

Evaluation evaluate_part(const LoadedModel& loaded, const Corpus& corpus, Part part) {
  const TokenStream stream = TokenStream::of(corpus, part);
  const int64_t B = kEvaluationBatch, M = loaded.header.config.batch.block;
  const ModelConfig& model = loaded.model->config();
  require_memory("this evaluation",
                 evaluation_need(model, B, M, stream.size, loaded.model->spans()),
                 "use a machine with more");
  return evaluate(*loaded.model, stream, B, M);
}

}  // namespace adaspan
