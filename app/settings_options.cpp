// SPDX-License-Identifier: MIT
#include "app/settings_options.h"

#include <fmt/core.h>

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/ops/process.h"
#include "app/places.h"

namespace adaspan::cli {
namespace {

const char* type_name(Flag::Kind kind) {
  return kind == Flag::Kind::text ? "TEXT" : kind == Flag::Kind::number ? "NUMBER" : "INTEGER";
}

}  // namespace

SettingsOptions::SettingsOptions(CLI::App& command, bool trains) {
  command.add_option("--preset", preset_, "start from presets/NAME.toml")->type_name("NAME");
  command.add_option("--config", config_, "then from this TOML file")->type_name("FILE");
  for (const Flag& flag : flags()) {
    if (flag.of_training && !trains) continue;
    const std::string& name = flag.name;
    if (flag.kind == Flag::Kind::boolean) {
      command
          .add_flag_function(
              fmt::format("--{0},!--no-{0}", name),
              [this, name](int64_t count) { given_[name] = count > 0 ? "true" : "false"; },
              flag.help)
          ->take_last();
    } else {
      command
          .add_option_function<std::string>(
              "--" + name, [this, name](const std::string& text) { given_[name] = text; },
              flag.help)
          ->type_name(type_name(flag.kind))
          ->take_last()  // as in the reference: a command can be repeated with one flag changed
          ->default_str(flag.standard);
    }
  }
}

Settings SettingsOptions::resolve(const TrainingConfig& defaults) const {
  SettingTexts texts;
  if (!preset_.empty()) give_toml(texts, preset_path(preset_));
  if (!config_.empty()) give_toml(texts, config_);
  require(!given_.contains("niter") || !given_.contains("steps"),
          "[settings] expected --niter or --steps; got both");
  for (const auto& [name, text] : given_) give(texts, name, text);
  // Before settings_of(), which looks at what the level can do.
  open_process({.threads = threads_of(texts), .isa = isa_of(texts)});
  Settings settings = settings_of(texts, defaults);
  std::string& checkpoint = settings.training.run.checkpoint;
  if (checkpoint.empty()) {
    checkpoint =
        fmt::format("runs/{}/checkpoint.safetensors", preset_.empty() ? "default" : preset_);
  }
  return settings;
}

}  // namespace adaspan::cli
