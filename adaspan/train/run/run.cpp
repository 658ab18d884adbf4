// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run.h"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "adaspan/core/error.h"
#include "adaspan/core/free_memory.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/memory_check.h"
#include "adaspan/train/run/metrics.h"
#include "adaspan/train/run/pace.h"
#include "adaspan/train/run/run_difference.h"
#include "adaspan/train/run/run_start.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// What of the environment, other than the settings, has changed since the last start.
std::vector<std::string> environment_notes(const RunFiles& files, const ordered_json& entry) {
  std::vector<std::string> notes;
  if (!std::filesystem::exists(files.manifest)) return notes;
  const ordered_json before = read_manifest(files.manifest).back()["environment"];
  for (const Difference& one : differences(before, entry["environment"])) {
    if (one.name == "threads" || one.name == "isa") continue;  // changes no bit; told as a setting
    notes.push_back(
        fmt::format("changed: {} {}, was {}; other bits may come of it", one.name, one.b, one.a));
  }
  return notes;
}

std::string penalty_note(const StepReport& report, const TrainingConfig& config) {
  return fmt::format(
      "at step {} the price of a step of span ({:.2g} a head) is over {:g} times what the loss "
      "says "
      "of it, in every head: spans shrink whatever the text is like; try a smaller model.span_loss "
      "than {:g}",
      report.step, report.span_penalty, SpanDoctor::kTooMuch, config.model.span_loss);
}

std::string skip_note(const StepReport& report) {
  return fmt::format(
      "step {} skipped, which made no update: loss {:.4g}, gradient norm {:.4g}; {} in a row, {} "
      "in "
      "all",
      report.step, std::isnan(report.loss) ? std::abs(report.loss) : report.loss,
      std::abs(report.gradient_norm), report.skips_in_a_row, report.skips);
}

/// A run under way, and its files.
class Running {
 public:
  Running(Trainer& trainer, RunObserver& observer, RunStart& start)
      : trainer_(trainer),
        observer_(observer),
        folder_(*start.folder),
        files_(trainer.config().run.checkpoint),
        metrics_(files_.metrics, trainer.steps_done()),
        pace_(trainer.steps_done(), start_),
        memory_(trainer.config()) {
    if (metrics_.fresh() || (start.from && !start.from->changed.empty())) {
      metrics_.write(configuration_line(trainer));
    }
    const ordered_json entry = manifest_entry(trainer);
    if (start.from) {
      for (std::string& note : environment_notes(files_, entry)) {
        start.notes.push_back(std::move(note));
      }
    }
    manifest_ = record_start(files_.manifest, entry, files_.checkpoint.filename().string());
    observer.started(start.from, entry);
    for (const std::string& note : start.notes) observer.noted(note);
  }

  void step() {
    const TrainingConfig& config = trainer_.config();
    const StepReport report = saving_what_is_done([&] { return trainer_.step(); });
    const double speed = pace_.at(report.step, Pace::Clock::now()) *
                         static_cast<double>(config.batch.sequences * config.batch.block);
    observer_.stepped(report, speed);
    if (report.skipped) observer_.noted(skip_note(report));
    if (is_logged(report, config.run)) {
      ordered_json line = step_line(report, config);
      line["clock"] = clock_now(speed);
      metrics_.write(line);
    }
    if (report.penalty_too_high) observer_.noted(penalty_note(report, config));
    if (!report.skipped) saving_what_is_done([&] { memory_.look(report.widest_z); });
    if (ends_round(report.step, config.run)) close_round();
  }

  void save(bool best) {
    make_sure_of_folder();
    metrics_.flush_to_disk();  // a checkpoint promises the lines up to its step
    folder_.save(trainer_, best);
    manifest_.saved = trainer_.steps_done();
    write_manifest(files_.manifest, manifest_);
  }

 private:
  ordered_json clock_now(double tokens_per_s) const {
    const std::chrono::duration<double> here = Pace::Clock::now() - start_;
    return to_json(RunClock{.seconds = metrics_.seconds_before() + here.count(),
                            .tokens_per_s = tokens_per_s,
                            .memory_mb = static_cast<double>(resident_bytes()) * 1e-6});
  }

  void close_round() {
    make_sure_of_folder();
    if (std::isfinite(trainer_.losses().best_validation) && !folder_.has_best()) {
      trainer_.forget_best();
      observer_.noted("the best checkpoint is gone: its loss is forgotten");
    }
    const ValidationReport validation = saving_what_is_done([&] { return trainer_.validate(); });
    ordered_json line = validation_line(validation, trainer_.config());
    line["clock"] = clock_now(/*tokens_per_s=*/0);
    metrics_.write(line);
    save(validation.best);
    observer_.validated(validation);
    observer_.saved(files_.checkpoint, trainer_.steps_done());
  }

  void make_sure_of_folder() {
    if (!folder_.make_again()) return;
    observer_.noted(fmt::format("{} is no longer the folder that the run began in: made again",
                                files_.folder.string()));
  }

  std::string text_of_end(const Error& error) const {
    return fmt::format("{}; all up to step {} is saved in {}", error.what(), trainer_.steps_done(),
                       files_.checkpoint.string());
  }

  template <class Work>
  std::invoke_result_t<Work> saving_what_is_done(const Work& work) {
    try {
      return work();
    } catch (const DataLost& e) {
      save(/*best=*/false);
      throw DataLost(text_of_end(e));
    } catch (const OutOfMemory& e) {
      save(/*best=*/false);
      throw OutOfMemory(text_of_end(e));
    }
  }

  Trainer& trainer_;
  RunObserver& observer_;
  CheckpointFolder& folder_;
  const RunFiles files_;
  MetricsFile metrics_;
  Manifest manifest_;
  const Pace::Clock::time_point start_ = Pace::Clock::now();
  Pace pace_;
  MemoryWatch memory_;
};

}  // namespace

void RunObserver::started(const std::optional<Resumption>&, const ordered_json&) {}
void RunObserver::noted(const std::string&) {}
void RunObserver::already_done(int64_t) {}
void RunObserver::stepped(const StepReport&, double) {}
void RunObserver::validated(const ValidationReport&) {}
void RunObserver::saved(const std::filesystem::path&, int64_t) {}
void RunObserver::stopped(int64_t) {}
void RunObserver::ended_early(int64_t) {}

bool run(Trainer& trainer, RunObserver& observer, const std::atomic<bool>& stop) {
  RunStart start = start_run(trainer);
  const int64_t steps = trainer.config().run.steps();
  const auto at_its_end = [&] {
    return trainer.steps_done() >= steps || trainer.out_of_patience();
  };
  if (at_its_end()) {
    for (const std::string& line : start.from->skipped) observer.noted(line);
    for (const std::string& line : start.notes) observer.noted(line);
    record_save(RunFiles(trainer.config().run.checkpoint).manifest, trainer.steps_done());
    observer.already_done(trainer.steps_done());
    return true;
  }
  Running running(trainer, observer, start);
  while (!at_its_end() && !stop) running.step();
  if (trainer.steps_done() < steps && trainer.out_of_patience()) {
    observer.ended_early(trainer.steps_done());
  }
  if (at_its_end()) return true;
  running.save(/*best=*/false);
  observer.saved(trainer.config().run.checkpoint, trainer.steps_done());
  observer.stopped(trainer.steps_done());
  return false;
}

}  // namespace adaspan
