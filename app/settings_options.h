// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <adaspan/train/run/settings.h>

namespace adaspan::cli {

/// All settings as flags of one subcommand, with --preset NAME and --config FILE below them: a flag
/// wins over the file, the file over the preset, the preset over the defaults.
class SettingsOptions {
 public:
  explicit SettingsOptions(CLI::App& command);
  /// The settings asked for, checked, on top of `defaults`; threads and instructions are set as
  /// they say. Throws Error.
  Settings resolve(Settings defaults = {}) const;

 private:
  std::string preset_, config_;
  std::map<std::string, std::optional<std::string>> given_;
};

}  // namespace adaspan::cli
