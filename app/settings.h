// SPDX-License-Identifier: MIT
// What a command line tells the program: a training configuration, and how the process runs. A
// setting may come from a preset, a file or a flag, by the same name; here all of them are texts.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <adaspan/ops/process.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// A flag of the command line, "--name".
struct Flag {
  enum class Kind { boolean, integer, number, text };
  std::string name;
  std::string group;  ///< of help
  Kind kind;
  std::string type;      ///< of its value: "INTEGER", "FILE", "DIR", or "a|b|c" for one of these
  std::string standard;  ///< what holds where nobody gives it
  const char* help;
  bool of_training;  ///< for `train` alone
};

/// All of them, in the order that help lists them.
const std::vector<Flag>& flags();
/// The one of this name.
const Flag& flag(std::string_view name);

struct Settings {
  TrainingConfig training;
  bool full_eval_mode = false;  ///< only evaluate the checkpoint on valid and test
  int64_t report_every = 0;     ///< steps between pages; 0: none are written
  std::string tensorboard{};    ///< folder for event files; empty: none are written
  std::string preset{};         ///< its name, if one was given
  Process process{};            ///< that was opened for them
};

/// Settings by name, as given.
using SettingTexts = std::map<std::string, std::string>;

/// Adds one setting, or replaces it; "niter" replaces "steps", which it would else give way to.
/// Throws Error for an unknown name or a text of the wrong kind.
void give(SettingTexts& texts, const std::string& name, const std::string& text);

/// Before stages are given: forgets the length of the run that was given, which is now theirs.
void forget_length(SettingTexts& texts);

/// Adds what the TOML file gives, with its tables [[stage]] as stages. Throws Error as give does,
/// and when the file cannot be read or parsed.
void give_toml(SettingTexts& texts, const std::filesystem::path& path);

/// The level of instructions that the texts ask for; of "auto", which holds where none is given,
/// the best there is.
Isa isa_of(const SettingTexts& texts);

/// A number of threads. Throws Error for a text that is none, and for a number that no process has.
int threads_of(const std::string& text);
/// The threads that they ask for; 0, which holds where none are given, for one per processor.
/// Throws Error as above.
int threads_of(const SettingTexts& texts);

/// The settings that the texts give on top of `defaults`, checked. A precision of "auto", which
/// holds where none is given, is the fastest at the level of instructions in use; stages without a
/// length of the whole run give it theirs. Throws Error when they do not fit.
Settings settings_of(const SettingTexts& texts, const TrainingConfig& defaults = {});

/// An error's text with the flags of the fields that it names: "--nlayers" for "model.layers"; but
/// `words`, those of the command line, are left as they are.
std::string with_flags(std::string message, const std::vector<std::string>& words = {});

}  // namespace adaspan
