// SPDX-License-Identifier: MIT
#include "app/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/cost.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/metrics.h"
#include "app/output.h"
#include "app/settings.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;
using Spans = std::vector<std::vector<float>>;

/// A stage of the run, and how long it is.
struct PlannedStage {
  int64_t steps;
  double lr_factor;
};

std::vector<PlannedStage> stages_of(const TrainingConfig& c) {
  std::vector<PlannedStage> all;
  for (int64_t done = 0; done < c.run.steps(); done += all.back().steps) {
    const StagePlace place = c.stage_at(done + 1);
    all.push_back({place.steps, place.lr_factor});
  }
  return all;
}

Way way_of(const TrainingConfig& given, const TrainingConfig& changed, const Spans& z,
           const MemoryState& now) {
  Way way;
  const std::string text = changes_text(given, changed);
  way.settings = text.empty() ? "as given" : with_flags(text);
  way.need = training_need(changed, z);
  way.at_full_spans = training_need(changed, full_spans(changed.model));
  way.lacking = lacking(way.need, now);
  return way;
}

/// The configuration itself, what each of the settings that take less memory alone would do, and,
/// where none of these fits, the first of several together that does.
std::vector<Way> ways_of(const TrainingConfig& c, const Spans& z, const MemoryState& now) {
  std::vector<Way> all = {way_of(c, c, z, now)};
  for (const TrainingConfig& leaner : leaner_settings(c)) {
    all.push_back(way_of(c, leaner, z, now));
  }
  if (std::ranges::any_of(all, [](const Way& way) { return !way.lacking; })) return all;
  if (const auto fitting = settings_that_fit(c, z, /*going_on=*/false, now)) {
    all.push_back(way_of(c, *fitting, z, now));
  }
  return all;
}

ordered_json json_of(const MemoryNeed& need) {
  return {{"total", need.total()},           {"weights", need.weights},
          {"gradients", need.gradients},     {"optimizer", need.optimizer},
          {"activations", need.activations}, {"memory", need.memory},
          {"workspace", need.workspace},     {"kept", need.kept},
          {"process", need.process}};
}

ordered_json json_of(const Way& way) {
  return {{"settings", way.settings},
          {"bytes", way.need.total()},
          {"bytes_at_full_spans", way.at_full_spans.total()},
          {"fits", !way.lacking}};
}

double tokens_of_step(const TrainingConfig& c) {
  return static_cast<double>(c.batch.sequences * c.batch.block);
}

std::string text_of_spans(const Plan& plan) {
  const ModelConfig& m = plan.config.model;
  const SpanSummary spans = summarise_spans(plan.z, m.ramp, m.span_limit);
  return fmt::format("mean {:.0f} and at most {:.0f} tokens, of {} at the limit{}", spans.mean,
                     spans.max, m.span_limit,
                     m.span_kind == SpanKind::dynamic ? "; each token may choose others" : "");
}

std::string text_of_memory(const Plan& plan) {
  const Way& given = plan.ways.front();
  const std::string of = fmt::format("{}: {}", bytes_text(given.need.total()), given.need.text());
  if (!given.lacking) return of;
  const FreeMemory& limit = *given.lacking;
  return fmt::format("{}; more than {}, which is {}", of,
                     bytes_text(static_cast<double>(limit.bytes + plan.memory.resident)),
                     name(limit.limit));
}

std::string text_of_step(const Plan& plan) {
  if (!plan.step) return "not timed";
  const auto& [seconds, sequences] = *plan.step;
  const int64_t B = plan.config.batch.sequences;
  return fmt::format(
      "{:.3g} s, {:.0f} tokens/s, {:.0f} useful GFLOP/s{}", seconds,
      tokens_of_step(plan.config) / seconds,
      useful_flops(plan.config.model, B, plan.config.batch.block, plan.z) / seconds * 1e-9,
      sequences == B ? "" : fmt::format("; timed on {} of {} sequences", sequences, B));
}

std::string text_of_run(const Plan& plan, int64_t steps) {
  if (!plan.step) return fmt::format("{} steps", with_commas(steps));
  return fmt::format("{} steps, {}", with_commas(steps), duration_text(plan.seconds_of(steps)));
}

std::string text_of_ways(const std::vector<Way>& ways) {
  std::vector<std::vector<std::string>> rows = {
      {"settings", "memory", "fits", "with every span at its limit"}};
  for (const Way& way : ways) {
    rows.push_back({way.settings, bytes_text(way.need.total()), way.lacking ? "no" : "yes",
                    bytes_text(way.at_full_spans.total())});
  }
  return table(rows);
}

}  // namespace

double Plan::seconds_of(int64_t steps) const {
  const double rounds =
      std::ceil(static_cast<double>(steps) / static_cast<double>(config.run.steps_per_round));
  return step->seconds *
         (static_cast<double>(steps) + rounds * static_cast<double>(validation_blocks) / 3);
}

Plan plan_of(const TrainingConfig& config, const Spans& z, int64_t valid_tokens,
             const MemoryState& now, bool measure) {
  Plan plan;
  plan.config = config;
  plan.z = z;
  plan.cost = token_cost(config.model, z);
  plan.parameters = parameter_count(config.model);
  plan.checkpoint_bytes = checkpoint_bytes(config, z);
  plan.memory = now;
  plan.ways = ways_of(config, z, now);
  if (measure) plan.step = step_time(config, z, now);
  const bool rolling = config.run.validation == ValidationMode::rolling;
  plan.validation_blocks =
      rolling ? std::max<int64_t>(1, config.run.steps_per_round / 10)
              : validation_blocks(config, valid_tokens > 0 ? valid_tokens : int64_t{1} << 60);
  return plan;
}

ordered_json json_of(const Plan& plan) {
  const TrainingConfig& c = plan.config;
  const SpanSummary spans = summarise_spans(plan.z, c.model.ramp, c.model.span_limit);
  const Way& given = plan.ways.front();
  ordered_json json = {{"parameters", static_cast<int64_t>(plan.parameters)},
                       {"vocabulary", c.model.vocabulary},
                       {"precision", name(c.model.precision)},
                       {"span_mean", spans.mean},
                       {"span_max", spans.max},
                       {"flops_per_token", plan.cost.flops},
                       {"bytes", json_of(given.need)},
                       {"bytes_at_full_spans", given.at_full_spans.total()},
                       {"fits", !given.lacking},
                       {"checkpoint_bytes", plan.checkpoint_bytes},
                       {"steps", c.run.steps()}};
  for (const FreeMemory& free : plan.memory.free) {
    json["limits"].push_back(
        {{"limit", name(free.limit)}, {"bytes", free.bytes + plan.memory.resident}});
  }
  if (plan.step) {
    json["seconds_per_step"] = plan.step->seconds;
    json["timed_sequences"] = plan.step->sequences;
    json["tokens_per_s"] = tokens_of_step(c) / plan.step->seconds;
    json["seconds"] = plan.seconds_of(c.run.steps());
  }
  for (const PlannedStage& stage : stages_of(c)) {
    ordered_json& one = json["stages"].emplace_back();
    one = {{"steps", stage.steps}, {"lr_factor", stage.lr_factor}};
    if (plan.step) one["seconds"] = plan.seconds_of(stage.steps);
  }
  for (const Way& way : plan.ways) json["ways"].push_back(json_of(way));
  return json;
}

std::string text_of(const Plan& plan) {
  const TrainingConfig& c = plan.config;
  std::vector<std::pair<std::string, std::string>> rows = {
      {"parameters", with_commas(static_cast<int64_t>(plan.parameters))},
      {"spans", text_of_spans(plan)},
      {"cost", text_of(plan.cost)},
      {"memory", text_of_memory(plan)},
      {"checkpoints", fmt::format("{} each; the newest {} and the best one are kept",
                                  bytes_text(plan.checkpoint_bytes), c.run.keep_last)},
      {"a step", text_of_step(plan)},
      {"the run", text_of_run(plan, c.run.steps())}};
  const std::vector<PlannedStage> stages = stages_of(c);
  for (size_t i = 0; i < stages.size() && stages.size() > 1; ++i) {
    rows.emplace_back(fmt::format("  stage {}", i + 1),
                      fmt::format("{}, at {} times the learning rate",
                                  text_of_run(plan, stages[i].steps), stages[i].lr_factor));
  }
  return aligned(rows) + "\n" + text_of_ways(plan.ways);
}

}  // namespace adaspan
