// SPDX-License-Identifier: MIT
#include "app/progress_line.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "adaspan/train/run/metrics.h"
#include "app/run_summary.h"
#include "app/settings.h"

namespace adaspan {

/// Of steps, before their speed says something: the first ones are slow.
constexpr double kFirstSeconds = 4;

ProgressLine::ProgressLine(Output& output, const TrainingConfig& config, std::string summary)
    : output_(output), config_(config), summary_(std::move(summary)) {}

void ProgressLine::started(const std::optional<Resumption>& from,
                           const nlohmann::ordered_json& entry) {
  if (from) {
    for (const std::string& line : from->skipped) output_.note(line);
    output_.note(fmt::format("going on from step {} of {}", entry.at("step").get<int64_t>(),
                             from->path.string()));
    for (const FieldChange& change : from->changed) {
      output_.note(
          fmt::format("changed: --{} {}, was {}", change.field.name, change.now, change.before));
    }
  }
  output_.note(summary_);
  start_ = Clock::now();
}

void ProgressLine::noted(const std::string& line) {
  output_.note(with_flags(line));
}

void ProgressLine::already_done(int64_t step) {
  if (step < config_.run.steps()) {
    output_.note(
        fmt::format("already ended at step {} of {}: {}; raise --patience, or --patience 0, "
                    "to go on",
                    step, config_.run.steps(), patience_text()));
    return;
  }
  output_.note(fmt::format("already at step {} of {}; raise --niter (or --steps) to go on", step,
                           config_.run.steps()));
}

void ProgressLine::stepped(const StepReport& report, double tokens_per_second) {
  const int64_t steps = config_.run.steps();
  tell_stage(report);
  const double left =
      static_cast<double>((steps - report.step) * config_.batch.sequences * config_.batch.block) /
      tokens_per_second;
  tell_time_expected(steps - report.step, left);
  if (report.step != steps && !output_.progress_due()) return;
  const SpanSummary spans =
      summarise_spans(report.mean_z, config_.model.ramp, config_.model.span_limit);
  const DataUnit unit = config_.run.data_unit;
  output_.progress(fmt::format(
      "step {}/{}  loss {:.3f} {}  {:.0f} {}/s  span mean {:.0f} max {:.0f}  {} left", report.step,
      steps, in_unit(report.loss, unit), name(unit), tokens_per_second,
      unit == DataUnit::bpc ? "chars" : "tokens", spans.mean, spans.max, duration_text(left)));
}

void ProgressLine::tell_stage(const StepReport& report) {
  const int64_t stage = config_.stage_at(report.step).index;
  if (stage == std::exchange(stage_, stage)) return;
  const std::string text = stage_text(config_, report.step);
  if (!text.empty()) output_.note(fmt::format("{}: learning rate {}", text, report.learning_rate));
}

void ProgressLine::tell_time_expected(int64_t steps_left, double seconds_left) {
  const std::chrono::duration<double> since = Clock::now() - start_;
  if (time_told_ || since.count() < kFirstSeconds) return;
  time_told_ = true;
  output_.note(
      fmt::format("expected    {} for the {} steps to come, at the speed of the first ones",
                  duration_text(seconds_left), steps_left));
}

void ProgressLine::validated(const ValidationReport& report) {
  const DataUnit unit = config_.run.data_unit;
  output_.note(fmt::format("step {}  validation {:.3f} {}{}", report.step,
                           in_unit(report.loss, unit), name(unit),
                           report.best ? "  (best so far)" : ""));
}

std::string ProgressLine::patience_text() const {
  return fmt::format("no better validation in {}", config_.run.patience);
}

void ProgressLine::ended_early(int64_t step) {
  output_.note(fmt::format("ended early, after step {}: {}", step, patience_text()));
}

void ProgressLine::stopped(int64_t step) {
  output_.note(fmt::format("stopped after step {}; the same command goes on from {}", step,
                           config_.run.checkpoint));
}

}  // namespace adaspan
