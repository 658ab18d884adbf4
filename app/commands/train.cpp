// SPDX-License-Identifier: MIT
#include "app/train.h"

#include <csignal>

#include "adaspan/core/error.h"
#include "app/commands/commands.h"
#include "app/commands/eval.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

std::atomic<bool> stop_asked = false;  // a signal handler can reach nothing else

void ask_to_stop(int) {
  stop_asked = true;
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a model, or go on with one");
  auto options = std::make_shared<SettingsOptions>(*command);
  command->callback([options] {
    const Settings settings = options->resolve();
    require(!settings.data.empty(),
            "[train] expected --data with the folder of a corpus; got none; make one with 'adaspan "
            "prepare'");
    if (settings.full_eval_mode) {
      print_evaluation(settings.checkpoint, settings.data, Part::valid);
      print_evaluation(settings.checkpoint, settings.data, Part::test);
      return;
    }
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    train(settings, stop_asked);
  });
}

}  // namespace adaspan::cli
