// SPDX-License-Identifier: MIT
#include "app/interchange.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

void add_python(CLI::App& command, std::string& python) {
  add_text(command, "python", python, "FILE", "a Python that has torch");
}

/// What a checkpoint made elsewhere can be told: all but places, and when to write what.
bool is_told(const Flag& flag) {
  const bool place = flag.name == "checkpoint" || flag.name == "full-eval-mode" ||
                     flag.name == "keep-last" || flag.name == "log-steps";
  return !place;
}

}  // namespace

void add_import(CLI::App& app) {
  struct Options {
    Output output;
    std::string from, out, python = "python3";
    std::unique_ptr<SettingsOptions> settings;
  };
  CLI::App* command = app.add_subcommand(
      "import",
      "make a checkpoint of one of the paper's PyTorch program; sizes, optimizer and learning rate "
      "are as that says, all other settings (ramp, block, batch ...) as given here");
  auto options = std::make_shared<Options>();
  add_text(*command, "from-pytorch", options->from, "FILE", "its checkpoint")->required();
  add_text(*command, "out", options->out, "FILE", "checkpoint to write, a new file")->required();
  add_python(*command, options->python);
  options->settings = std::make_unique<SettingsOptions>(*command, is_told);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan import --from-pytorch FILE.pt --out runs/new/checkpoint.safetensors "
                "--preset enwik8"});
  command->callback([options] {
    const PytorchCheckpoint checkpoint(options->from, options->out, options->python);
    const int64_t step =
        checkpoint.save(options->settings->resolve(options->output, checkpoint.config()).training);
    options->settings->note_unread(options->output);
    options->output.result({{"file", options->out}, {"step", step}},
                           fmt::format("wrote {}, after step {}", options->out, step));
  });
}

void add_export(CLI::App& app) {
  struct Options {
    Output output;
    std::string checkpoint, to, python = "python3";
    Weights weights = Weights::last;
  };
  CLI::App* command = app.add_subcommand(
      "export", "make of a checkpoint one that the paper's PyTorch program can go on from");
  auto options = std::make_shared<Options>();
  add_checkpoint(*command, options->checkpoint);
  add_text(*command, "to-pytorch", options->to, "FILE", "file to write, a new one")->required();
  add_weights(*command, options->weights);
  add_python(*command, options->python);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan export --checkpoint runs/demo/checkpoint.safetensors --to-pytorch "
                "demo.pt"});
  command->callback([options] {
    export_to_pytorch(choose_checkpoint(options->output, options->checkpoint), options->to,
                      options->python, options->weights);
    options->output.result({{"file", options->to}}, fmt::format("wrote {}", options->to));
  });
}

}  // namespace adaspan::cli
