// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "train/cli/commands.h"
#include "train/cli/settings_options.h"
#include "train/tools/bench_step.h"

namespace adaspan::cli {
namespace {

void print_table(const nlohmann::ordered_json& result) {
  for (const auto& [key, value] : result.items()) {
    if (value.is_number_float()) {
      fmt::print("{:<18} {:.4g}\n", key, value.get<double>());
    } else {
      fmt::print("{:<18} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  struct Options {
    std::string spans = "initial";
    int64_t steps = 3;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand("bench", "how fast this machine is");
  command->require_subcommand(1);
  CLI::App* step = command->add_subcommand("step", "one training step on random tokens");
  auto settings = std::make_shared<SettingsOptions>(*step);
  auto options = std::make_shared<Options>();
  step->add_option("--spans", options->spans, "initial, trained or full")->capture_default_str();
  step->add_option("--steps", options->steps, "steps to time; the best counts")
      ->capture_default_str();
  step->add_flag("--json", options->json, "one JSON object instead of a table");
  step->callback([settings, options] {
    const auto result = bench_step(settings->resolve(), options->spans, options->steps);
    if (options->json) {
      fmt::print("{}\n", result.dump());
    } else {
      print_table(result);
    }
  });
}

}  // namespace adaspan::cli
