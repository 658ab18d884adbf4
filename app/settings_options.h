// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "app/output.h"
#include "app/settings.h"

namespace adaspan::cli {

/// Settings as flags of one subcommand, with --preset PRESET and --config FILE below them: a flag
/// wins over the file, the file over the preset, the preset over the defaults.
class SettingsOptions {
 public:
  /// Help lists the flags that `reads` names, those that the command makes something of; the others
  /// are taken, too, so that a command line of 'train' serves, and note_unread() tells of them.
  SettingsOptions(CLI::App& command, std::function<bool(const Flag&)> reads);
  /// The settings asked for, checked, on top of `defaults`; the process uses the instructions and
  /// threads that they say. Throws Error.
  Settings resolve(Output& output, const TrainingConfig& defaults = {}) const;
  /// Whether the flag itself was given.
  bool gives(const std::string& name) const { return given_.contains(name); }
  /// Notes which flags were given to no effect.
  void note_unread(Output& output) const;

 private:
  std::string preset_, config_;
  SettingTexts given_;
  std::function<bool(const Flag&)> reads_;
};

}  // namespace adaspan::cli
