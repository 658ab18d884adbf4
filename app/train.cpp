// SPDX-License-Identifier: MIT
#include "app/train.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/checkpoint_folder.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/metrics.h"
#include "app/progress_line.h"

namespace adaspan {
namespace {

/// Validation, its line, and the checkpoints.
void close_round(Trainer& trainer, const Corpus& corpus, MetricsFile& metrics,
                 CheckpointFolder& folder, ProgressLine& progress) {
  const std::string& unit = trainer.settings().data_unit;
  const ValidationReport report = trainer.validate();
  metrics.write(validation_line(report, trainer.settings()));
  progress.note(fmt::format("step {}  validation {:.3f} {}{}", report.step,
                            in_unit(report.loss, unit), unit,
                            report.best ? "  (best so far)" : ""));
  metrics.flush_to_disk();  // a checkpoint promises the lines up to its step
  folder.save(trainer, corpus, report.best);
}

/// Says where the run goes on, and what is not as it was. Returns whether anything is.
bool announce(const CheckpointFolder::Resumption& resumption, const Trainer& trainer) {
  for (const std::string& line : resumption.skipped) fmt::print("{}\n", line);
  fmt::print("going on from step {} of {}\n", trainer.steps_done(), resumption.path.string());
  const auto changed = changes(recorded_json(resumption.settings), trainer.settings());
  for (const SettingChange& change : changed) {
    fmt::print("changed: --{} {}, was {}\n", change.name, change.now, change.before);
  }
  return !changed.empty();
}

}  // namespace

bool train(const Settings& given, const std::atomic<bool>& stop) {
  const Corpus corpus = Corpus::open(given.data);
  Trainer trainer(given, corpus.vocabulary().size(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  const Settings& settings = trainer.settings();
  const std::filesystem::path path = settings.checkpoint;
  CheckpointFolder folder(path, settings.keep_last);
  const auto resumption = folder.resume(trainer, corpus);
  const bool changed = resumption && announce(*resumption, trainer);

  MetricsFile metrics(path.parent_path() / "metrics.jsonl", trainer.steps_done());
  if (metrics.fresh() || changed) {
    metrics.write({{"configuration", to_json(settings)}, {"step", trainer.steps_done()}});
  }
  const nlohmann::ordered_json start = manifest_entry(trainer, corpus);
  record_start(path.parent_path() / "manifest.json", start);
  fmt::print("{}\n", start.dump());

  const int64_t total = settings.niter * settings.nbatches;
  ProgressLine progress(settings, trainer.steps_done(), total);
  while (trainer.steps_done() < total && !stop) {
    const StepReport report = trainer.step();
    progress.show(report);
    const bool closes_round = report.step % settings.nbatches == 0;
    if (closes_round || report.step % settings.log_steps == 0) {
      nlohmann::ordered_json line = step_line(report, settings);
      line["chars_per_s"] = progress.tokens_per_second(report.step);
      metrics.write(line);
    }
    if (closes_round) close_round(trainer, corpus, metrics, folder, progress);
  }
  if (trainer.steps_done() >= total) return true;
  metrics.flush_to_disk();
  folder.save(trainer, corpus, /*best=*/false);
  progress.note(fmt::format("stopped after step {}; the same command goes on from {}",
                            trainer.steps_done(), path.string()));
  return false;
}

}  // namespace adaspan
