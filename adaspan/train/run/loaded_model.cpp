// SPDX-License-Identifier: MIT
#include "adaspan/train/run/loaded_model.h"

#include <fmt/core.h>

#include <cmath>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/memory_check.h"

namespace adaspan {
namespace {

EvaluationPlan plan_reference(const LoadedModel& loaded, const TokenStream& stream,
                              const EvaluationShape& shape) {
  const EvaluationPlan plan{.B = kEvaluationBatch, .M = loaded.header.config.batch.block};
  require(!shape.rows && !shape.block,
          "[eval] expected neither batch.sequences nor batch.block with eval.protocol reference, "
          "which has {} and {}; got one; leave it out, or take eval.protocol exact",
          plan.B, plan.M);
  require_memory(
      "this evaluation",
      evaluation_need(loaded.model->config(), plan.B, plan.M, stream.size, loaded.model->spans()),
      "take eval.protocol exact, whose rows and blocks fit themselves to it");
  return plan;
}

Evaluation evaluate_as_reference(const Transformer& model, const TokenStream& stream,
                                 const EvaluationPlan& plan, const ScoredTokenVisitor& visit) {
  const int64_t B = plan.B, columns = stream.size / B;
  int64_t column = 0;
  return evaluate(model, stream, B, plan.M,
                  [&](const Tensor& inputs, const Tensor& targets, const Tensor& losses) {
                    const int32_t* const before = inputs.data<int32_t>();
                    const int32_t* const ids = targets.data<int32_t>();
                    for (int64_t i = 0; i < targets.elements(); ++i) {
                      visit({.position = i % B * columns + column + i / B + 1,
                             .before = before[i],
                             .id = ids[i],
                             .loss = losses.data()[i]});
                    }
                    column += plan.M;
                  });
}

}  // namespace

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

const char* name(Protocol protocol) {
  return protocol == Protocol::exact ? "exact" : "reference";
}

PartEvaluation evaluate_part(const LoadedModel& loaded, const Corpus& corpus, Part part,
                             Protocol protocol, const EvaluationShape& shape) {
  const TokenStream stream = TokenStream::of(corpus, part);
  ScoreKeeper keeper(corpus, part);
  PartEvaluation result;
  result.protocol = protocol;
  result.blocks = TextBlocks(stream.size);
  const auto visit = [&](const ScoredToken& token) {
    keeper.add(token.before, token.id, token.loss);
    result.blocks.add(token.position, token.loss);
  };
  const bool exact = protocol == Protocol::exact;
  result.plan = exact ? plan_exact(*loaded.model, loaded.header.config.batch, stream, shape)
                      : plan_reference(loaded, stream, shape);
  static_cast<Evaluation&>(result) =
      exact ? evaluate_exactly(*loaded.model, stream, result.plan, visit)
            : evaluate_as_reference(*loaded.model, stream, result.plan, visit);
  require(std::isfinite(result.loss),
          "[eval] expected a finite loss on the {} part; got {}; the weights are of a run that has "
          "diverged: take an older checkpoint",
          name(part), std::abs(result.loss));
  result.not_scored = stream.size - result.tokens;
  const bool with_last = exact || result.tokens == stream.size - result.plan.B;
  result.score = keeper.score(with_last);
  return result;
}

}  // namespace adaspan
