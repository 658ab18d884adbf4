// SPDX-License-Identifier: MIT
#include "app/report.h"

#include "app/commands/commands.h"

namespace adaspan::cli {

void add_report(CLI::App& app) {
  struct Options {
    std::string checkpoint, data;
  };
  CLI::App* command = app.add_subcommand(
      "report", "test loss next to common compressors, the span of every head, and a sample");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "the checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--data", options->data, "corpus (the one it was trained on)")
      ->type_name("DIR");
  command->callback([options] { print_report(options->checkpoint, options->data); });
}

}  // namespace adaspan::cli
