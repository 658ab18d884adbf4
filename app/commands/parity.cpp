// SPDX-License-Identifier: MIT
#include "app/parity.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"

namespace adaspan::cli {

void add_parity(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "parity", "replay a recorded run of the reference and compare; exits 0 only if all agrees");
  struct Options {
    std::string path, precision = "f32";
  };
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->path, "the recorded run, a safetensors file")->required();
  command->add_option("--precision", options->precision, "of activations: f32 or bf16")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  command->callback([options] {
    open_process();
    const DType precision = options->precision == "bf16" ? DType::bf16 : DType::f32;
    const bool agrees = replay(options->path, precision, [](const nlohmann::ordered_json& row) {
      fmt::print("{}\n", row.dump());
    });
    if (!agrees) throw Exit{1};
  });
}

}  // namespace adaspan::cli
