// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "app/settings.h"

namespace adaspan::cli {

/// All settings as flags of one subcommand, with --preset NAME and --config FILE below them: a flag
/// wins over the file, the file over the preset, the preset over the defaults.
class SettingsOptions {
 public:
  /// With `trains` also those flags that only training has.
  explicit SettingsOptions(CLI::App& command, bool trains = false);
  /// The settings asked for, checked, on top of `defaults`; the process uses the instructions and
  /// threads that they say. Throws Error.
  Settings resolve(const TrainingConfig& defaults = {}) const;

 private:
  std::string preset_, config_;
  SettingTexts given_;
};

}  // namespace adaspan::cli
