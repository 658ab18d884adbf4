// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/models/block_memory.h"
#include "adaspan/models/span.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/places.h"
#include "app/run_summary.h"
#include "app/settings.h"
#include "app/token_cost.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

struct PresetsArguments {
  Output output;
  bool names = false;
};

/// "208,638,172 parameters; 216.7M FLOPS a token ... (published: 179M)"; at the spans that training
/// begins with where none are published.
std::string sizes_of(const ModelConfig& model, const PresetNotes& notes, ordered_json& json) {
  const auto span = static_cast<float>(std::max<int64_t>(0, notes.mean_span - model.ramp));
  const std::vector<std::vector<float>> z =
      notes.mean_span > 0 ? std::vector<std::vector<float>>{{span}} : starting_spans(model);
  const TokenCost cost = token_cost(model, z);
  const auto parameters = static_cast<int64_t>(parameter_count(model));
  json["parameters"] = parameters;
  json["vocabulary"] = model.vocabulary;
  json["flops_per_token"] = cost.flops;
  json["mean_span"] = cost.mean_span;
  if (notes.flops > 0) json["published_flops_per_token"] = notes.flops;
  std::string text = fmt::format("{} parameters; {}", with_commas(parameters), text_of(cost));
  if (notes.mean_span == 0) text += ", where training begins";
  if (notes.flops > 0) text += fmt::format(" (published: {:g}M)", notes.flops / 1e6);
  return text;
}

void print_preset(PresetsArguments& options, const std::string& name) {
  const PresetNotes notes = preset_notes(name);
  SettingTexts texts;
  give_toml(texts, preset_path(name));
  TrainingConfig c = settings_of(texts).training;
  ordered_json json = {{"name", name},
                       {"about", notes.about},
                       {"expect", notes.expect},
                       {"steps", c.run.steps()},
                       {"stages", text_of(c.schedule.stages)},
                       {"file", preset_path(name).string()}};
  std::string text = fmt::format("{:<19} {}\n{:<19} {}\n{:<19} {} steps{}", name, notes.about, "",
                                 notes.expect, "", c.run.steps(), stages_text(c));
  if (notes.vocabulary > 0) {
    c.model.vocabulary = notes.vocabulary;
    text += fmt::format("\n{:<19} {}", "", sizes_of(c.model, notes, json));
  }
  options.output.result(json, options.names ? name : text);
}

void print_presets(PresetsArguments& options) {
  for (const std::string& name : preset_names()) print_preset(options, name);
}

}  // namespace

void add_presets(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("presets", "the settings that come with the program, and what to expect");
  auto options = std::make_shared<PresetsArguments>();
  command->add_flag("--names", options->names, "their names alone");
  command->add_flag("--json", options->output.json, "as JSON, an object a line")->group("Output");
  add_examples(*command, {"adaspan presets", "adaspan train --preset demo --data data/my"});
  command->callback([options] { print_presets(*options); });
}

}  // namespace adaspan::cli
