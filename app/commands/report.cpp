// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/open_model.h"
#include "app/span_table.h"

namespace adaspan::cli {
namespace {

void print(const Report& report, const CheckpointHeader& header) {
  const TrainingConfig& config = header.config;
  const DataUnit unit = config.run.data_unit;
  fmt::print("\n{} of the test text ({} tokens), after {} steps:\n", name(unit), report.test.tokens,
             header.progress.step);
  fmt::print("  {:<10} {:.3f}\n", "adaspan", in_unit(report.test.loss, unit));
  for (const auto& [command, bpc] : report.yardsticks) {
    fmt::print("  {:<10} {}\n", command, bpc == 0 ? "not installed" : fmt::format("{:.3f}", bpc));
  }
  const int64_t R = config.model.ramp, S = config.model.span_limit;
  fmt::print("\nHow far each head looks back, in tokens (at least {}, at most {}):\n{}",
             std::min(R, S), S, span_table(report.test.mean_z, R, S));
  fmt::print("\nWhat it writes ({} tokens):\n{}\n", kSampleLength, report.sample);
}

void print_report(const std::filesystem::path& checkpoint, const std::string& data) {
  open_process();
  const LoadedModel loaded = open_model(checkpoint);
  const Corpus corpus = open_corpus(loaded.header, data);
  fmt::print("evaluating {} tokens of test text ...\n", corpus.part(Part::test).size());
  std::fflush(stdout);
  print(report_on(loaded, corpus), loaded.header);
  fmt::print("\ncheckpoint  {}\nlog         {}\n", checkpoint.string(),
             (checkpoint.parent_path() / "metrics.jsonl").string());
}

}  // namespace

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
