// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include "adaspan/core/error.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/run/run_difference.h"
#include "app/commands/commands.h"

namespace adaspan::cli {
namespace {

void print(const char* title, const std::vector<Difference>& all) {
  if (all.empty()) return;
  fmt::print("{}\n", title);
  for (const Difference& one : all) fmt::print("  {}: {} | {}\n", one.name, one.a, one.b);
}

/// Prints all that differs; the program's exit code is 1 if a number does.
void print_difference(const RunDifference& difference) {
  if (difference.first_step == 0) {
    fmt::print("{} lines compared: every number is the same\n", difference.steps_compared);
  } else {
    print(fmt::format("first difference at step {}:", difference.first_step).c_str(),
          difference.numbers);
  }
  if (difference.settings_changed > 0) {
    fmt::print("the run went on with other settings after step {}: up to there\n",
               difference.settings_changed);
  }
  print("settings and environment that differ:", difference.settings);
  if (difference.first_step != 0) throw Exit{1};
}

}  // namespace

void add_diff(CLI::App& app) {
  struct Options {
    std::string a, b;
  };
  CLI::App* command = app.add_subcommand(
      "diff",
      "the first step at which two runs differ, and how they were made; exits 0 only if "
      "all numbers are the same");
  auto options = std::make_shared<Options>();
  command->add_option("RUN_A", options->a, "folder of a run")->required();
  command->add_option("RUN_B", options->b, "folder of another")->required();
  command->callback([options] { print_difference(compare_runs(options->a, options->b)); });
}

void add_repro(CLI::App& app) {
  struct Options {
    std::string folder, data;
    int64_t steps = 20;
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "repro",
      "train the first steps of a run again and compare; exits 0 only if all numbers are "
      "the same");
  auto options = std::make_shared<Options>();
  command->add_option("RUN_DIR", options->folder, "folder of the run")->required();
  command->add_option("--steps", options->steps, "how many")->capture_default_str();
  command->add_option("--data", options->data, "the corpus, if it is elsewhere now")
      ->type_name("DIR");
  command->add_option("--threads", options->threads,
                      "threads to use; 0: as many as this process may use");
  command->callback([options] {
    require(options->steps >= 1, "[repro] expected --steps of at least 1; got {}", options->steps);
    const Process process =
        open_process({.threads = options->threads, .isa = recorded_isa(options->folder)});
    fmt::print("{}\n", process.text());
    print_difference(reproduce(options->folder, options->data, options->steps));
  });
}

}  // namespace adaspan::cli
