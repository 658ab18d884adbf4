// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include "app/commands/commands.h"

namespace adaspan::cli {

void add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "what is in a checkpoint, a corpus or a safetensors file");
  auto path = std::make_shared<std::string>();
  command->add_option("PATH", *path, "the file, or the folder of a corpus")->required();
  command->callback([path] { print_contents(*path); });
}

}  // namespace adaspan::cli
