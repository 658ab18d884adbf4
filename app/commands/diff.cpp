// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/run/run_difference.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

std::string text_of(const std::string& title, const std::vector<Difference>& all) {
  if (all.empty()) return "";
  std::string text = title + "\n";
  for (const Difference& one : all) text += fmt::format("  {}: {} | {}\n", one.name, one.a, one.b);
  return text;
}

ordered_json json_of(const std::vector<Difference>& all) {
  ordered_json json = ordered_json::array();
  for (const Difference& one : all) {
    json.push_back({{"name", one.name}, {"a", one.a}, {"b", one.b}});
  }
  return json;
}

/// All that differs; the program's exit code is 1 if a number does.
void print_difference(Output& output, const RunDifference& difference) {
  const bool same = difference.first_step == 0;
  const int64_t changed_after = difference.settings_changed;
  const std::string changed =
      changed_after > 0
          ? fmt::format("the run went on with other settings after step {}: up to there\n",
                        changed_after)
          : "";
  if (difference.reading) {
    output.note(fmt::format(
        "note: the runs read their texts in two ways, {} and {}: their losses are of different "
        "tokens, and do not compare",
        difference.reading->a, difference.reading->b));
  }
  output.result(
      {{"same", same},
       {"readings", difference.reading
                        ? ordered_json({difference.reading->a, difference.reading->b})
                        : ordered_json()},
       {"lines_compared", difference.steps_compared},
       {"first_step", same ? ordered_json() : ordered_json(difference.first_step)},
       {"settings_changed", changed_after > 0 ? ordered_json(changed_after) : ordered_json()},
       {"numbers", json_of(difference.numbers)},
       {"settings", json_of(difference.settings)}},
      (same
           ? fmt::format("{} lines compared: every number is the same\n", difference.steps_compared)
           : text_of(fmt::format("first difference at step {}:", difference.first_step),
                     difference.numbers)) +
          changed + text_of("settings and environment that differ:", difference.settings));
  if (!same) throw Exit{1};
}

}  // namespace

void add_diff(CLI::App& app) {
  struct Options {
    Output output;
    std::string a, b;
  };
  CLI::App* command = app.add_subcommand(
      "diff",
      "the first step at which two runs differ, and how they were made; exits 0 only if "
      "all numbers are the same");
  auto options = std::make_shared<Options>();
  add_word(*command, "RUN_A", options->a, "DIR", "folder of a run");
  add_word(*command, "RUN_B", options->b, "DIR", "folder of another");
  add_output(*command, options->output);
  add_examples(*command, {"adaspan diff runs/a runs/b"});
  command->callback(
      [options] { print_difference(options->output, compare_runs(options->a, options->b)); });
}

void add_repro(CLI::App& app) {
  struct Options {
    Output output;
    std::string folder, data;
    int64_t steps = 20;
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "repro",
      "train the first steps of a run again and compare; exits 0 only if all numbers are "
      "the same");
  auto options = std::make_shared<Options>();
  add_word(*command, "RUN_DIR", options->folder, "DIR", "folder of the run");
  add_whole_number(*command, "steps", options->steps, "how many");
  add_data(*command, options->data);
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan repro runs/demo", "adaspan repro runs/demo --steps 100 --threads 1"});
  command->callback([options] {
    require(options->steps >= 1, "[repro] expected --steps of at least 1; got {}", options->steps);
    const Process process = open_process(
        process_options(options->output, options->threads, recorded_isa(options->folder)));
    const RunDifference found = reproduce(options->folder, options->data, options->steps);
    options->output.note(fmt::format("trained again on {}", process.text()));
    print_difference(options->output, found);
  });
}

}  // namespace adaspan::cli
