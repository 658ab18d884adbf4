// SPDX-License-Identifier: MIT
#include "app/progress_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/metrics.h"

namespace adaspan {
namespace {

std::string minutes_and_seconds(double s) {
  const auto whole = static_cast<int64_t>(s + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

ProgressLine::ProgressLine(const TrainingConfig& config)
    : config_(config), terminal_(::isatty(STDOUT_FILENO) == 1) {}

void ProgressLine::started(const std::optional<Resumption>& from,
                           const nlohmann::ordered_json& entry) {
  if (from) {
    for (const std::string& line : from->skipped) fmt::print("{}\n", line);
    fmt::print("going on from step {} of {}\n", entry.at("step").get<int64_t>(),
               from->path.string());
    for (const FieldChange& change : from->changed) {
      fmt::print("changed: --{} {}, was {}\n", change.field.name, change.now, change.before);
    }
  }
  fmt::print("{}\n", entry.dump());
}

void ProgressLine::noted(const std::string& line) {
  note(line);
}

void ProgressLine::already_done(int64_t step) {
  note(fmt::format("already at step {} of {}; raise --niter (or --steps) to go on", step,
                   config_.run.steps()));
}

void ProgressLine::stepped(const StepReport& report, double tokens_per_second) {
  const auto now = Clock::now();
  const int64_t steps = config_.run.steps();
  const std::chrono::duration<double> since = now - shown_;
  if (report.step != steps && since.count() < (terminal_ ? 0.2 : 5.0)) return;
  shown_ = now;
  const double left =
      static_cast<double>((steps - report.step) * config_.batch.sequences * config_.batch.block) /
      tokens_per_second;
  const SpanSummary spans =
      summarise_spans(report.mean_z, config_.model.ramp, config_.model.span_limit);
  const DataUnit unit = config_.run.data_unit;
  const std::string line = fmt::format(
      "step {}/{}  loss {:.3f} {}  {:.0f} {}/s  span mean {:.0f} max {:.0f}  {} left", report.step,
      steps, in_unit(report.loss, unit), name(unit), tokens_per_second,
      unit == DataUnit::bpc ? "chars" : "tokens", spans.mean, spans.max, minutes_and_seconds(left));
  fmt::print("{}{}{}", terminal_ ? "\r" : "", line, terminal_ ? "\033[K" : "\n");
  std::fflush(stdout);
  line_open_ = terminal_;
}

void ProgressLine::validated(const ValidationReport& report) {
  const DataUnit unit = config_.run.data_unit;
  note(fmt::format("step {}  validation {:.3f} {}{}", report.step, in_unit(report.loss, unit),
                   name(unit), report.best ? "  (best so far)" : ""));
}

void ProgressLine::stopped(int64_t step) {
  note(fmt::format("stopped after step {}; the same command goes on from {}", step,
                   config_.run.checkpoint));
}

void ProgressLine::note(const std::string& text) {
  fmt::print("{}{}\n", line_open_ ? "\n" : "", text);
  std::fflush(stdout);
  line_open_ = false;
}

}  // namespace adaspan
