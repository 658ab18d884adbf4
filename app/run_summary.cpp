// SPDX-License-Identifier: MIT
#include "app/run_summary.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/memory_need.h"
#include "app/adaptive_io_text.h"
#include "app/output.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

std::string spans_of(const ModelConfig& c) {
  switch (c.span_kind) {
    case SpanKind::adaptive:
      return fmt::format("a span for each head, at most {} tokens", c.span_limit);
    case SpanKind::dynamic:
      return fmt::format("a span for each head and token, at most {} tokens", c.span_limit);
    case SpanKind::fixed:
      break;
  }
  return fmt::format("every head looks back {} tokens", c.span_limit);
}

/// "; adaptive io: cut-offs 20000, 40000; ..."
std::string clusters_text(const ModelConfig& c) {
  return c.adaptive_io.on ? "; adaptive io: " + adaptive_io_text(c) : "";
}

/// ", then cosine to 0.1 of it"; empty for a flat one
std::string shape_text(const TrainingConfig& c, const ordered_json& words) {
  if (c.schedule.shape == ScheduleShape::flat) return "";
  return fmt::format(
      ", then {}{}", words.at("lr-schedule").get<std::string>(),
      ends_at_least(c.schedule.shape) ? fmt::format(" to {} of it", c.schedule.least_share) : "");
}

std::string optimizer_of(const TrainingConfig& c) {
  const int64_t warmup = c.schedule.warmup;
  const ordered_json words = to_json(c);
  return fmt::format(
      "{}, learning rate {}{}{}{}", words.at("optim").get<std::string>(), c.schedule.learning_rate,
      warmup > 0 ? fmt::format(" after {} steps of warm-up", warmup) : "", shape_text(c, words),
      c.optimizer.average > 0
          ? fmt::format("; an average of the weights, which follows them by {:.4g} a step",
                        1 - c.optimizer.average)
          : "");
}

/// " on 12,288 tokens", always the same ones
std::string validated_on(const Trainer& trainer) {
  const TrainingConfig& c = trainer.config();
  if (c.run.validation == ValidationMode::rolling) return "";
  return fmt::format(" on {} tokens",
                     with_commas(trainer.validation_blocks() * c.batch.sequences * c.batch.block));
}

std::string inner_text(const ModelConfig& c) {
  return c.persistent > 0 ? fmt::format("persistent vectors {}", c.persistent)
                          : fmt::format("feed-forward {}", c.inner);
}

}  // namespace

std::string stage_text(const TrainingConfig& c, int64_t step) {
  if (c.schedule.stages.size() < 2) return "";
  const StagePlace place = c.stage_at(step);
  return fmt::format("stage {} of {}, step {} of {}", place.index + 1, c.schedule.stages.size(),
                     place.step, place.steps);
}

std::string stages_text(const TrainingConfig& c) {
  const Stages& stages = c.schedule.stages;
  if (stages.size() < 2) return "";
  std::string text = fmt::format("; in {} stages:", stages.size());
  int64_t left = c.run.steps();  // which may end before the stages do, or go on in the last one
  for (const Stage& stage : stages) {
    const bool first = &stage == &stages.front(), last = &stage == &stages.back();
    const int64_t steps = last ? left : std::min(left, stage.steps(c.run.steps_per_round));
    text += fmt::format("{} {}{} at {}", first ? "" : ",", steps, first ? " steps" : "",
                        stage.lr_factor);
    left -= steps;
  }
  return text + " times the learning rate";
}

std::string run_summary(const Trainer& trainer, const Corpus& corpus, const Process& process) {
  const TrainingConfig& c = trainer.config();
  const auto size = [&](Part part) { return with_commas(corpus.part(part).size()); };
  return aligned(
      {{"model",
        fmt::format("layers {}, hidden {}, {}, heads {}; {}{}", c.model.layers, c.model.hidden,
                    inner_text(c.model), c.model.heads, spans_of(c.model), clusters_text(c.model))},
       {"parameters", with_commas(trainer.parameters())},
       {"data",
        fmt::format("{}: {} tokens to train, {} valid, {} test; {}", c.run.data, size(Part::train),
                    size(Part::valid), size(Part::test), corpus.reading_text())},
       {"optimizer", optimizer_of(c)},
       {"length", fmt::format("{} steps of {} x {} tokens, validated{} and saved every {}{}",
                              c.run.steps(), c.batch.sequences, c.batch.block,
                              validated_on(trainer), c.run.steps_per_round, stages_text(c))},
       {"precision", name(c.model.precision)},
       {"memory", fmt::format("{} expected at the spans of now",
                              bytes_text(training_need(c, trainer.model().spans()).total()))},
       {"running on", process.text()},
       {"saved in", c.run.checkpoint}});
}

}  // namespace adaspan
