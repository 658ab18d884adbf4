// SPDX-License-Identifier: MIT
#include "app/progress_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

namespace adaspan {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string minutes_and_seconds(double s) {
  const auto whole = static_cast<int64_t>(s + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

ProgressLine::ProgressLine(const Settings& settings, int64_t steps_done, int64_t steps_total)
    : settings_(settings),
      first_step_(steps_done),
      steps_total_(steps_total),
      terminal_(::isatty(STDOUT_FILENO) == 1) {}

double ProgressLine::tokens_per_second(int64_t step) const {
  const double tokens =
      static_cast<double>((step - first_step_) * settings_.batch_sz * settings_.block_sz);
  return tokens / std::max(1e-9, seconds(Clock::now() - start_));
}

void ProgressLine::show(const StepReport& report) {
  const auto now = Clock::now();
  const bool last = report.step == steps_total_;
  if (!last && seconds(now - shown_) < (terminal_ ? 0.2 : 5.0)) return;
  shown_ = now;
  const double rate = tokens_per_second(report.step);
  const double left =
      static_cast<double>((steps_total_ - report.step) * settings_.batch_sz * settings_.block_sz) /
      rate;
  const SpanSummary spans =
      summarise_spans(report.spans, settings_.adapt_span_ramp, settings_.attn_span);
  const std::string line =
      fmt::format("step {}/{}  loss {:.3f} {}  {:.0f} {}/s  span mean {:.0f} max {:.0f}  {} left",
                  report.step, steps_total_, in_unit(report.loss, settings_.data_unit),
                  settings_.data_unit, rate, settings_.data_unit == "bpc" ? "chars" : "tokens",
                  spans.mean, spans.max, minutes_and_seconds(left));
  fmt::print("{}{}{}", terminal_ ? "\r" : "", line, terminal_ ? "\033[K" : "\n");
  std::fflush(stdout);
  line_open_ = terminal_;
}

void ProgressLine::note(const std::string& text) {
  fmt::print("{}{}\n", line_open_ ? "\n" : "", text);
  std::fflush(stdout);
  line_open_ = false;
}

}  // namespace adaspan
