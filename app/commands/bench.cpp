// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/manifest.h"
#include "app/bench/bench_attention.h"
#include "app/bench/bench_gemm.h"
#include "app/bench/bench_step.h"
#include "app/commands/commands.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& value) {
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// A list of objects of the same keys, a line each.
void print_rows(const ordered_json& rows) {
  if (rows.empty()) return;
  std::vector<std::string> keys;
  std::vector<size_t> widths;
  for (const auto& [key, value] : rows.front().items()) {
    size_t width = key.size();
    for (const auto& row : rows) width = std::max(width, text_of(row.at(key)).size());
    keys.push_back(key);
    widths.push_back(width);
  }
  const auto print_line = [&](const auto& cell) {
    std::string line = "  ";
    for (size_t i = 0; i < keys.size(); ++i) {
      line += i == 0 ? fmt::format("{:<{}}", cell(keys[i]), widths[i])
                     : fmt::format("  {:>{}}", cell(keys[i]), widths[i]);
    }
    fmt::print("{}\n", line);
  };
  print_line([](const std::string& key) { return key; });
  for (const auto& row : rows) {
    print_line([&](const std::string& key) { return text_of(row.at(key)); });
  }
}

void print(const ordered_json& result, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", result.dump());
    return;
  }
  for (const auto& [key, value] : result.items()) {
    if (value.is_array()) {
      fmt::print("{}\n", key);
      print_rows(value);
    } else {
      fmt::print("{:<20} {}\n", key, text_of(value));
    }
  }
}

/// One benchmark: `add_options` declares what it alone has, `run` gets the configuration.
template <class Options, class AddOptions, class Run>
void add_benchmark(CLI::App& bench, const char* name, const char* help,
                   const AddOptions& add_options, const Run& run) {
  CLI::App* command = bench.add_subcommand(name, help);
  auto settings = std::make_shared<SettingsOptions>(*command);
  auto options = std::make_shared<Options>();
  auto as_json = std::make_shared<bool>(false);
  add_options(*command, *options);
  command->add_flag("--json", *as_json, "one JSON object instead of a table");
  command->callback([settings, options, as_json, run] {
    const TrainingConfig chosen = settings->resolve().training;
    ordered_json result = run(chosen, *options);
    result.update(environment());
    result["configuration"] = to_json(chosen);
    print(result, *as_json);
  });
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "how fast this machine is");
  bench->require_subcommand(0, 1);  // as the program itself: else a misspelt one would be missing
  bench->callback([bench] {
    require(
        !bench->get_subcommands().empty(),
        "[bench] expected step, attention or gemm; got none; 'adaspan bench --help' tells more");
  });
  add_benchmark<BenchStepOptions>(
      *bench, "step", "one training step on random tokens",
      [](CLI::App& command, BenchStepOptions& options) {
        command
            .add_option("--spans", options.spans,
                        "initial, trained, full, or a JSON file with z of each layer and head")
            ->capture_default_str();
        command.add_option("--steps", options.steps, "steps to time; the best counts")
            ->capture_default_str();
        command.add_flag("--profile", options.profile, "where the time of one more step goes");
      },
      bench_step);
  add_benchmark<std::vector<int64_t>>(
      *bench, "attention", "span attention of one layer, forward and backward",
      [](CLI::App& command, std::vector<int64_t>& spans) {
        spans = {52, 128, 646};
        command
            .add_option("--span", spans,
                        "effective span E of all heads, in tokens; may be repeated")
            ->capture_default_str();
      },
      bench_attention);
  struct None {};
  add_benchmark<None>(
      *bench, "gemm", "the matrix products of one layer", [](CLI::App&, None&) {},
      [](const TrainingConfig& config, None) { return bench_gemm(config); });
}

}  // namespace adaspan::cli
