// SPDX-License-Identifier: MIT
#include "train/tools/parity.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "train/cli/commands.h"

namespace adaspan::cli {

void add_parity(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "parity", "replay a recorded run of the reference and compare; exits 0 only if all agrees");
  auto path = std::make_shared<std::string>();
  command->add_option("FILE", *path, "the recorded run, a safetensors file")->required();
  command->callback([path] {
    const bool agrees =
        replay(*path, [](const nlohmann::ordered_json& row) { fmt::print("{}\n", row.dump()); });
    if (!agrees) throw Exit{1};
  });
}

}  // namespace adaspan::cli
