// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/memory_check.h"
#include "adaspan/train/run/metrics.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// Tokens per second since it was made.
class Speed {
 public:
  explicit Speed(const Trainer& trainer) : trainer_(trainer), first_step_(trainer.steps_done()) {}
  double now() const {
    const BatchConfig& batch = trainer_.config().batch;
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start_;
    const int64_t steps = trainer_.steps_done() - first_step_;
    return static_cast<double>(steps * batch.sequences * batch.block) /
           std::max(1e-9, time.count());
  }

 private:
  const Trainer& trainer_;
  int64_t first_step_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::filesystem::path checkpoint_of(const TrainingConfig& config) {
  require(!config.run.checkpoint.empty(),
          "[run] expected run.checkpoint with the name of a file; got none");
  return config.run.checkpoint;
}

}  // namespace

void RunObserver::started(const std::optional<Resumption>&, const ordered_json&) {}
void RunObserver::stepped(const StepReport&, double) {}
void RunObserver::validated(const ValidationReport&) {}
void RunObserver::saved(const std::filesystem::path&, int64_t) {}
void RunObserver::stopped(int64_t) {}

bool run(Trainer& trainer, RunObserver& observer, const std::atomic<bool>& stop) {
  const TrainingConfig& config = trainer.config();
  const std::filesystem::path path = checkpoint_of(config);
  CheckpointFolder folder(path, config.run.keep_last);
  const std::optional<Resumption> from = folder.resume(trainer);

  MetricsFile metrics(path.parent_path() / "metrics.jsonl", trainer.steps_done());
  if (metrics.fresh() || (from && !from->changed.empty())) {
    metrics.write({{"configuration", to_json(config)}, {"step", trainer.steps_done()}});
  }
  const ordered_json entry = manifest_entry(trainer);
  record_start(path.parent_path() / "manifest.json", entry);
  observer.started(from, entry);

  const auto save = [&](bool best) {
    metrics.flush_to_disk();  // a checkpoint promises the lines up to its step
    folder.save(trainer, best);
    observer.saved(path, trainer.steps_done());
  };
  const auto saving_what_is_done = [&](const auto& work) {
    try {
      return work();
    } catch (const OutOfMemory& e) {
      save(/*best=*/false);
      throw OutOfMemory(fmt::format("{}; all up to step {} is saved in {}", e.what(),
                                    trainer.steps_done(), path.string()));
    }
  };
  const Speed speed(trainer);
  MemoryWatch memory(config);
  while (trainer.steps_done() < config.run.steps() && !stop) {
    const StepReport report = saving_what_is_done([&] { return trainer.step(); });
    observer.stepped(report, speed.now());
    const bool closes_round = report.step % config.run.steps_per_round == 0;
    if (closes_round || report.step % config.run.log_steps == 0) {
      ordered_json line = step_line(report, config);
      line["chars_per_s"] = speed.now();
      metrics.write(line);
    }
    saving_what_is_done([&] { memory.look(report.mean_z); });
    if (!closes_round) continue;
    const ValidationReport validation = saving_what_is_done([&] { return trainer.validate(); });
    metrics.write(validation_line(validation, config));
    observer.validated(validation);
    save(validation.best);
  }
  if (trainer.steps_done() >= config.run.steps()) return true;
  save(/*best=*/false);
  observer.stopped(trainer.steps_done());
  return false;
}

}  // namespace adaspan
