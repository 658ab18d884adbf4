// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/adaptive_io_text.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/loss_text.h"
#include "app/run_summary.h"
#include "app/span_table.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

struct ReportArguments {
  Output output;
  std::string checkpoint, data;
  Weights weights = Weights::last;
  int threads = 0;
};

std::string text_of(const Report& report, const Reaches& reaches, const CheckpointHeader& header,
                    const Corpus& corpus) {
  const TrainingConfig& config = header.config;
  const DataUnit unit = config.run.data_unit;
  const std::string stage = stage_text(config, header.progress.step);
  std::string text =
      fmt::format("{} of the test text ({} tokens), after {} steps{}; {}:\n",
                  unit_text(unit, corpus.format()), report.test.tokens, header.progress.step,
                  stage.empty() ? "" : fmt::format(" ({})", stage), corpus.reading_text());
  text += fmt::format("  {:<10} {:.3f}\n", "adaspan", in_unit(report.test.loss, unit));
  for (const auto& [command, bpc] : report.yardsticks) {
    text += fmt::format("  {:<10} {}\n", command,
                        bpc == 0 ? "not installed" : fmt::format("{:.3f}", bpc));
  }
  const int64_t R = config.model.ramp, S = config.model.span_limit;
  text += fmt::format("\nHow far each head looks back, in tokens (at least {}, at most {}):\n{}",
                      std::min(R, S), S, span_table(reaches));
  text += text_of(report.cost) + "\n";
  if (config.model.persistent > 0) {
    text += fmt::format("\nall-attention: {} persistent vectors of each head\n",
                        config.model.persistent);
  }
  if (config.model.adaptive_io.on) {
    text += fmt::format("\nadaptive io: {}\n", adaptive_io_text(config.model));
  }
  return text + fmt::format("\nWhat it writes ({} tokens):\n{}\n", kSampleLength, report.sample);
}

ordered_json json_of(const Report& report, const Reaches& reaches, const CheckpointHeader& header) {
  const DataUnit unit = header.config.run.data_unit;
  ordered_json compressors = ordered_json::object();
  for (const auto& [command, bpc] : report.yardsticks) {
    compressors[command] = bpc == 0 ? ordered_json() : ordered_json(bpc);
  }
  ordered_json json = {{"step", header.progress.step},
                       {"loss", report.test.loss},
                       {name(unit), in_unit(report.test.loss, unit)},
                       {"tokens", report.test.tokens},
                       {"compressors", compressors},
                       {"spans", reaches},
                       {"mean_span", report.cost.mean_span},
                       {"flops_per_token", report.cost.flops},
                       {"sample", report.sample}};
  if (header.config.model.persistent > 0) json["persistent"] = header.config.model.persistent;
  if (header.config.model.adaptive_io.on) {
    json["adaptive_io"] = adaptive_io_text(header.config.model);
  }
  const std::string stage = stage_text(header.config, header.progress.step);
  if (!stage.empty()) json["stage"] = stage;
  return json;
}

void print_report(ReportArguments& options) {
  const Process process = open_process(process_options(options.output, options.threads));
  const std::filesystem::path checkpoint = choose_checkpoint(options.output, options.checkpoint);
  const LoadedModel loaded = open_model(options.output, checkpoint, options.weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, options.data);
  options.output.note(fmt::format("evaluating {} tokens of test text on {}",
                                  with_commas(corpus.part(Part::test).size()), process.text()));
  const Report report = report_on(loaded, corpus);
  const ModelConfig& model = loaded.header.config.model;
  const Reaches reaches = reaches_of(report.test.mean_z, model.ramp, model.span_limit);
  const std::string log = (checkpoint.parent_path() / "metrics.jsonl").string();
  ordered_json json = json_of(report, reaches, loaded.header);
  json["reading"] = corpus.reading_text();
  json.update({{"checkpoint", checkpoint.string()}, {"metrics", log}});
  options.output.result(json, text_of(report, reaches, loaded.header, corpus) + "\n" +
                                  aligned({{"checkpoint", checkpoint.string()}, {"log", log}}));
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "report", "test loss next to common compressors, the span of every head, and a sample");
  auto options = std::make_shared<ReportArguments>();
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  add_weights(*command, options->weights);
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command, {"adaspan report --checkpoint runs/demo/checkpoint.safetensors",
                          "adaspan report --checkpoint runs/demo/best.safetensors --json --quiet"});
  command->callback([options] { print_report(*options); });
}

}  // namespace adaspan::cli
