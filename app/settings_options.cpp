// SPDX-License-Identifier: MIT
#include "app/settings_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <type_traits>

#include "adaspan/ops/process.h"

namespace adaspan::cli {

SettingsOptions::SettingsOptions(CLI::App& command) {
  command.add_option("--preset", preset_, "start from presets/NAME.toml")->type_name("NAME");
  command.add_option("--config", config_, "then from this TOML file")->type_name("FILE");
  const Settings defaults;
  for_each_setting(
      defaults, [&](const std::string& name, const auto& value, const char* help, Role) {
        using T = std::remove_cvref_t<decltype(value)>;
        std::optional<std::string>& text = given_[name];
        if constexpr (std::is_same_v<T, bool>) {
          command
              .add_flag_function(
                  fmt::format("--{0},!--no-{0}", name),
                  [&text](int64_t count) { text = count > 0 ? "true" : "false"; }, help)
              ->take_last();
        } else {
          const char* kind = std::is_same_v<T, std::string> ? "TEXT"
                             : std::is_same_v<T, double>    ? "NUMBER"
                                                            : "INTEGER";
          command
              .add_option_function<std::string>(
                  "--" + name, [&text](const std::string& given) { text = given; }, help)
              ->type_name(kind)
              ->take_last()  // as in the reference: a command can be repeated with one flag changed
              ->default_str(fmt::format("{}", value));
        }
      });
}

Settings SettingsOptions::resolve(Settings settings) const {
  if (!preset_.empty()) apply_toml(settings, preset_path(preset_));
  if (!config_.empty()) apply_toml(settings, config_);
  for (const auto& [name, text] : given_) {
    if (text) assign(settings, name, *text);
  }
  if (settings.checkpoint.empty()) {
    settings.checkpoint =
        fmt::format("runs/{}/checkpoint.safetensors", preset_.empty() ? "default" : preset_);
  }
  // Before check(), which looks at what the level can do, and refuses numbers of threads beyond
  // these.
  open_process({.threads = static_cast<int>(std::clamp<int64_t>(settings.threads, 0, 1 << 20)),
                .isa = isa_of(settings)});
  check(settings);
  return settings;
}

}  // namespace adaspan::cli
