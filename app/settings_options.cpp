// SPDX-License-Identifier: MIT
#include "app/settings_options.h"

#include <fmt/core.h>

#include "adaspan/core/error.h"
#include "app/commands/common_options.h"
#include "app/places.h"
#include "app/threads.h"

namespace adaspan::cli {

SettingsOptions::SettingsOptions(CLI::App& command, std::function<bool(const Flag&)> reads)
    : reads_(std::move(reads)) {
  add_text(command, "preset", preset_, "PRESET",
           "start from a preset; 'adaspan presets' lists them")
      ->group("Settings");
  add_text(command, "config", config_, "FILE", "then from this TOML file: names as those below")
      ->group("Settings");
  for (const Flag& flag : flags()) {
    if (flag.of_training && !reads_(flag)) continue;
    const std::string& name = flag.name;
    CLI::Option* option = nullptr;
    if (flag.kind == Flag::Kind::boolean) {
      option = command.add_flag_function(
          fmt::format("--{0},!--no-{0}", name),
          [this, name](int64_t count) { given_[name] = count > 0 ? "true" : "false"; }, flag.help);
    } else {
      option =
          command
              .add_option_function<std::string>(
                  "--" + name,
                  [this, &flag](const std::string& text) {
                    require(flag.kind != Flag::Kind::text || !text.empty(),
                            "[settings] expected --{} {}; got an empty text", flag.name, flag.type);
                    given_[flag.name] = text;
                  },
                  flag.help)
              ->type_name(flag.type)
              ->default_str(flag.standard);
    }
    // The last one holds, as in the reference: a command can be repeated with one flag changed.
    option->take_last()->group(reads_(flag) ? flag.group : "");
  }
}

Settings SettingsOptions::resolve(Output& output, const TrainingConfig& defaults) const {
  SettingTexts texts;
  if (!preset_.empty()) give_toml(texts, preset_path(preset_));
  if (!config_.empty()) give_toml(texts, config_);
  require(!given_.contains("niter") || !given_.contains("steps"),
          "[settings] expected --niter or --steps; got both");
  if (given_.contains("stages")) forget_length(texts);
  for (const auto& [name, text] : given_) give(texts, name, text);
  // Before settings_of(), which looks at what the level can do.
  const Process process = open_process(process_options(output, threads_of(texts), isa_of(texts)));
  Settings settings = settings_of(texts, defaults);
  for (const char* name : {"adapt-io-tied", "adapt-io-divval", "adapt-io-cutoffs"}) {
    const auto found = given_.find(name);
    require(
        settings.training.model.adaptive_io.on || found == given_.end() || found->second == "false",
        "[settings] expected --adapt-io with --{}, which has no effect without it; got none", name);
  }
  settings.process = process;
  settings.preset = preset_;
  return settings;
}

void SettingsOptions::note_unread(Output& output) const {
  for (const auto& [name, text] : given_) {
    if (!reads_(flag(name))) output.note(fmt::format("--{} has no effect here", name));
  }
}

}  // namespace adaspan::cli
