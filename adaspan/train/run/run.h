// SPDX-License-Identifier: MIT
// A run from its first step, or from its newest checkpoint, to its end: what Trainer alone does not
// do, files and their order.
#pragma once

#include <atomic>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include <adaspan/train/run/checkpoint_folder.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// What happens in a run, as it happens; each function may be overridden, and may throw to end it.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// Before the first step: from where the run goes on, if it does, and its manifest's entry.
  virtual void started(const std::optional<Resumption>& from, const nlohmann::ordered_json& entry);
  /// Something to be known that is no error, in one line, at any time.
  virtual void noted(const std::string& line);
  /// In place of all else: the run had reached its last step before, or the end of its patience;
  /// nothing was written.
  virtual void already_done(int64_t step);
  /// The speed is that of the last half minute.
  virtual void stepped(const StepReport& report, double tokens_per_second);
  /// The state that was validated is saved.
  virtual void validated(const ValidationReport& report);
  /// The state after `step` is at `path`.
  virtual void saved(const std::filesystem::path& path, int64_t step);
  /// The run was asked to stop after `step`; all is saved.
  virtual void stopped(int64_t step);
  /// The run ends after `step`, before its last one, for want of a new best validation.
  virtual void ended_early(int64_t step);
};

/// Trains to the end of trainer.config().run, or of its patience: metrics.jsonl, a validation and
/// checkpoints every round and at the end, and manifest.json, in the folder of run.checkpoint, from
/// which it goes on if there is one. When `stop` becomes true the step under way is finished, the
/// state saved, and false returned. Throws Error as start_run and its other parts do; the last
/// checkpoint then stays. The state is saved first when text is lost (DataLost), and when memory
/// lacks or the spans have grown so far that the next steps would need more than there is
/// (OutOfMemory).
bool run(Trainer& trainer, RunObserver& observer, const std::atomic<bool>& stop);

}  // namespace adaspan
