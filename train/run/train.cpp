// SPDX-License-Identifier: MIT
#include "train/run/train.h"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "train/run/checkpoint.h"
#include "train/run/metrics.h"
#include "train/run/progress_line.h"

namespace adaspan {
namespace {

nlohmann::ordered_json configuration_line(const Trainer& trainer, const Corpus& corpus) {
  const Settings& settings = trainer.settings();
  return {{"configuration", to_json(settings)},
          {"step", trainer.steps_done()},
          {"parameters", trainer.parameters()},
          {"vocabulary", corpus.vocabulary().size()},
          {"text_sha256", corpus.text_hash()},
          {"cpu", cpu_report()},
          {"precision", settings.precision},
          {"isa", name(isa())},
          {"threads", threads()}};
}

nlohmann::ordered_json step_line(const StepReport& report, const Settings& settings, double rate) {
  const SpanSummary spans =
      summarise_spans(report.spans, settings.adapt_span_ramp, settings.attn_span);
  return {{"step", report.step},
          {"loss", report.loss},
          {settings.data_unit, in_unit(report.loss, settings.data_unit)},
          {"span_loss", report.span_loss},
          {"lr", report.learning_rate},
          {"grad_norm", report.gradient_norm},
          {"chars_per_s", rate},
          {"span_mean", spans.mean},
          {"span_max", spans.max},
          {"spans", report.spans}};
}

/// Validation, its line, and both checkpoints.
void close_round(Trainer& trainer, const Corpus& corpus, MetricsFile& metrics,
                 ProgressLine& progress) {
  const Settings& settings = trainer.settings();
  const double loss = trainer.validate();
  require(std::isfinite(loss),
          "[train] expected a finite validation loss; got {} after step {}; the last checkpoint is "
          "kept; try a smaller --lr, a longer --lr-warmup or --grad-clip",
          loss, trainer.steps_done());
  const bool best = loss < trainer.best_validation;
  if (best) trainer.best_validation = loss;
  metrics.write({{"step", trainer.steps_done()},
                 {"valid_loss", loss},
                 {"valid_" + settings.data_unit, in_unit(loss, settings.data_unit)},
                 {"best", best}});
  progress.note(fmt::format("step {}  validation {:.3f} {}{}", trainer.steps_done(),
                            in_unit(loss, settings.data_unit), settings.data_unit,
                            best ? "  (best so far)" : ""));
  const std::filesystem::path path = settings.checkpoint;
  save_checkpoint(path, trainer, corpus);
  if (best) save_checkpoint(path.parent_path() / "best.safetensors", trainer, corpus);
}

}  // namespace

bool train(const Settings& given, const std::atomic<bool>& stop) {
  const Corpus corpus = Corpus::open(given.data);
  Trainer trainer(given, corpus.vocabulary().size(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  const Settings& settings = trainer.settings();
  const std::filesystem::path path = settings.checkpoint;
  bool changed = false;  // other settings than before the stop, such as a new learning rate
  if (std::filesystem::exists(path)) {
    changed = to_json(load_checkpoint(path, trainer, corpus)) != to_json(settings);
    fmt::print("going on from step {} of {}\n", trainer.steps_done(), path.string());
  }
  MetricsFile metrics(path.parent_path() / "metrics.jsonl", trainer.steps_done());
  const auto configuration = configuration_line(trainer, corpus);
  if (metrics.fresh() || changed) metrics.write(configuration);
  fmt::print("{}\n", configuration.dump());

  const int64_t total = settings.niter * settings.nbatches;
  ProgressLine progress(settings, trainer.steps_done(), total);
  while (trainer.steps_done() < total && !stop) {
    const StepReport report = trainer.step();
    progress.show(report);
    if (report.step % settings.log_steps == 0 || report.step == total) {
      metrics.write(step_line(report, settings, progress.tokens_per_second(report.step)));
    }
    if (report.step % settings.nbatches == 0) close_round(trainer, corpus, metrics, progress);
  }
  if (trainer.steps_done() >= total) return true;
  save_checkpoint(path, trainer, corpus);
  progress.note(fmt::format("stopped after step {}; the same command goes on from {}",
                            trainer.steps_done(), path.string()));
  return false;
}

}  // namespace adaspan
