// SPDX-License-Identifier: MIT
#include "app/interchange.h"

#include <fmt/core.h>

#include "app/commands/commands.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

void add_python(CLI::App& command, std::string& python) {
  command.add_option("--python", python, "a Python that has torch")
      ->type_name("FILE")
      ->capture_default_str();
}

}  // namespace

void add_import(CLI::App& app) {
  struct Options {
    std::string from, out, python = "python3";
    std::unique_ptr<SettingsOptions> settings;
  };
  CLI::App* command = app.add_subcommand(
      "import",
      "make a checkpoint of one of the paper's PyTorch program; sizes, optimizer and learning rate "
      "are as that says, all other settings (ramp, block, batch ...) as given here");
  auto options = std::make_shared<Options>();
  command->add_option("--from-pytorch", options->from, "its checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", options->out, "checkpoint to write, a new file")
      ->required()
      ->type_name("FILE");
  add_python(*command, options->python);
  options->settings = std::make_unique<SettingsOptions>(*command);
  command->callback([options] {
    const PytorchCheckpoint checkpoint(options->from, options->out, options->python);
    const int64_t step = checkpoint.save(options->settings->resolve(checkpoint.config()).training);
    fmt::print("wrote {}, after step {}\n", options->out, step);
  });
}

void add_export(CLI::App& app) {
  struct Options {
    std::string checkpoint, to, python = "python3";
  };
  CLI::App* command = app.add_subcommand(
      "export", "make of a checkpoint one that the paper's PyTorch program can go on from");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "the checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--to-pytorch", options->to, "file to write, a new one")
      ->required()
      ->type_name("FILE");
  add_python(*command, options->python);
  command->callback([options] {
    export_to_pytorch(options->checkpoint, options->to, options->python);
    fmt::print("wrote {}\n", options->to);
  });
}

}  // namespace adaspan::cli
