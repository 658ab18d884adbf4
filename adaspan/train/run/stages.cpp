// SPDX-License-Identifier: MIT
#include "adaspan/train/run/stages.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

/// Whether the whole of `text` is a number.
template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<Stage> stage_from(std::string_view text) {
  Stage stage;
  const size_t at = text.find('@');
  std::string_view length = text.substr(0, at);
  if (at != text.npos && !parse(text.substr(at + 1), stage.lr_factor)) return std::nullopt;
  stage.in_rounds = length.ends_with('r');
  if (stage.in_rounds) length.remove_suffix(1);
  const bool sound = parse(length, stage.length) && stage.length >= 1 && stage.lr_factor > 0 &&
                     std::isfinite(stage.lr_factor);
  return sound ? std::optional(stage) : std::nullopt;
}

}  // namespace

std::string text_of(const Stages& stages) {
  std::string text;
  for (const Stage& stage : stages) {
    text += fmt::format("{}{}{}@{}", text.empty() ? "" : ",", stage.length,
                        stage.in_rounds ? "r" : "", stage.lr_factor);
  }
  return text;
}

std::optional<Stages> stages_from(std::string_view text) {
  Stages stages;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::optional<Stage> stage = stage_from(text.substr(0, comma));
    if (!stage || comma == text.size() - 1) return std::nullopt;
    stages.push_back(*stage);
    text = comma == text.npos ? "" : text.substr(comma + 1);
  }
  return stages;
}

void check(const Stages& stages, int64_t steps_per_round) {
  int64_t before = 0;
  for (const Stage& stage : stages) {
    require(stage.length >= 1,
            "[settings] expected schedule.stages of lengths of at least 1; got {}", stage.length);
    require(stage.lr_factor > 0, "[settings] expected schedule.stages with factors above 0; got {}",
            stage.lr_factor);
    const int64_t left = kMostSteps - before - 1;
    require(stage.length <= (stage.in_rounds ? left / steps_per_round : left),
            "[settings] expected schedule.stages of less than {} steps together; got {}",
            kMostSteps, text_of(stages));
    before += stage.steps(steps_per_round);
  }
}

int64_t total_steps(const Stages& stages, int64_t steps_per_round) {
  int64_t steps = 0;
  for (const Stage& stage : stages) steps += stage.steps(steps_per_round);
  return steps;
}

StagePlace stage_at(const Stages& stages, int64_t steps_per_round, int64_t run_steps,
                    int64_t step) {
  if (stages.empty()) return {.step = step, .steps = run_steps};
  int64_t before = 0;
  size_t i = 0;
  for (; i + 1 < stages.size(); ++i) {
    const int64_t end = before + stages[i].steps(steps_per_round);
    if (step <= end) break;
    before = end;
  }
  const bool last = i + 1 == stages.size();
  const int64_t left = std::max(run_steps, step) - before;
  return {.index = static_cast<int64_t>(i),
          .step = step - before,
          .steps = last ? left : std::min(left, stages[i].steps(steps_per_round)),
          .lr_factor = stages[i].lr_factor};
}

}  // namespace adaspan
