// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/places.h"

namespace adaspan::cli {
namespace {

struct PresetsArguments {
  Output output;
  bool names = false;
};

void print_presets(PresetsArguments& options) {
  for (const std::string& name : preset_names()) {
    const auto& [about, expect] = preset_notes(name);
    const std::string text = fmt::format("{:<13} {}\n{:<13} {}", name, about, "", expect);
    options.output.result({{"name", name},
                           {"about", about},
                           {"expect", expect},
                           {"file", preset_path(name).string()}},
                          options.names ? name : text);
  }
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
