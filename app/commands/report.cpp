// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/ops/process.h"
#include "app/adaptive_io_text.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/loss_text.h"
#include "app/page/numbers_csv.h"
#include "app/page/run_charts.h"
#include "app/page/run_page.h"
#include "app/run_summary.h"
#include "app/span_table.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

struct ReportArguments {
  Output output;
  std::vector<std::string> runs;
  std::string checkpoint, data, page, svg, csv;
  bool text = false, no_test = false;
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

TestSection section_of(const Report& report, const CheckpointHeader& header, const Corpus& corpus) {
  const DataUnit unit = header.config.run.data_unit;
  TestSection section{
      .about = fmt::format("{} tokens, after {} steps; {}. {}.", with_commas(report.test.tokens),
                           with_commas(header.progress.step), corpus.reading_text(),
                           text_of(report.cost)),
      .losses = {{"adaspan", in_unit(report.test.loss, unit)}},
      .unit = unit_text(unit, corpus.format()),
      .sample = report.sample};
  for (const auto& [command, bpc] : report.yardsticks) {
    section.losses.emplace_back(command, bpc == 0 ? std::nullopt : std::optional(bpc));
  }
  return section;
}

/// What the given word or --checkpoint means; nothing: the run that was saved last.
std::string given_place(const ReportArguments& options) {
  require(options.runs.empty() || options.checkpoint.empty(),
          "[report] expected a run or --checkpoint; got both; leave one out");
  return options.runs.empty() ? options.checkpoint : options.runs.front();
}

/// The text, or JSON, of one run.
void print_evaluated(ReportArguments& options, const std::filesystem::path& checkpoint,
                     const LoadedModel& loaded, const Corpus& corpus, const Report& report) {
  const ModelConfig& model = loaded.header.config.model;
  const Reaches reaches = reaches_of(report.test.mean_z, model.ramp, model.span_limit);
  const std::string log = (checkpoint.parent_path() / "metrics.jsonl").string();
  ordered_json json = json_of(report, reaches, loaded.header);
  json["reading"] = corpus.reading_text();
  json.update({{"checkpoint", checkpoint.string()}, {"metrics", log}});
  options.output.result(json, text_of(report, reaches, loaded.header, corpus) + "\n" +
                                  aligned({{"checkpoint", checkpoint.string()}, {"log", log}}));
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  make_folder_of(path);
  atomic_write(path, text);
}

/// The page, --svg and --csv.
void write_files(ReportArguments& options, const std::vector<RunRecord>& runs,
                 const PageOptions& page) {
  const std::filesystem::path beside = runs.size() == 1 ? runs[0].folder : ".";
  const std::string path = options.page.empty() ? (beside / "report.html").string() : options.page;
  write_file(path, page_of(runs, page));
  std::vector<std::pair<std::string, std::string>> rows = {{"page", path}};
  if (!options.svg.empty()) {
    for (const RunChart& one : charts_of(runs).charts) {
      write_file(std::filesystem::path(options.svg) / (one.chart.name + ".svg"), one.chart.svg);
    }
    rows.emplace_back("charts", options.svg);
  }
  if (!options.csv.empty()) {
    write_file(options.csv, csv_of(runs));
    rows.emplace_back("numbers", options.csv);
  }
  // JSON is one object, of the evaluation.
  options.output.json ? options.output.note(aligned(rows))
                      : options.output.result({}, aligned(rows));
}

/// The records alone, of several runs.
void report_on_several(ReportArguments& options) {
  require(!options.text && !options.output.json && options.checkpoint.empty(),
          "[report] expected one run with --text, --json or --checkpoint; got {}; leave it out, or "
          "ask for one",
          options.runs.size());
  std::vector<RunRecord> runs;
  for (const std::string& folder : options.runs) runs.push_back(read_run(folder));
  write_files(options, runs,
              {.without_test = "The test text was not read: it is for a report of one run."});
}

/// The records of one run without its model.
void report_on_records(ReportArguments& options, const std::filesystem::path& folder,
                       const std::string& why) {
  write_files(options, {read_run(folder)}, {.without_test = why});
}

void print_report(ReportArguments& options) {
  if (options.runs.size() > 1) return report_on_several(options);
  const std::string place = given_place(options);
  const bool with_page = !options.page.empty() || (!options.text && !options.output.json);
  const bool records_alone =
      std::filesystem::exists(std::filesystem::path(place) / "metrics.jsonl");
  if (options.no_test && records_alone) {
    return report_on_records(options, place, "The test text was not read, as --no-test says.");
  }
  const Process process = open_process(process_options(options.output, options.threads));
  const std::filesystem::path checkpoint = choose_checkpoint(options.output, place);
  const std::filesystem::path folder =
      checkpoint.has_parent_path() ? checkpoint.parent_path() : ".";
  if (options.no_test) {
    return report_on_records(options, folder, "The test text was not read, as --no-test says.");
  }
  const LoadedModel loaded = open_model(options.output, checkpoint, options.weights);
  std::optional<Corpus> corpus;
  try {
    corpus.emplace(open_corpus(loaded, checkpoint, options.data));
  } catch (const Error& error) {
    if (!options.data.empty() || options.text || options.output.json) throw;
    options.output.note(fmt::format("without the test text: {}", error.what()));
    return report_on_records(options, folder, fmt::format("Not read: {}", error.what()));
  }
  options.output.note(fmt::format("evaluating {} tokens of test text on {}",
                                  with_commas(corpus->part(Part::test).size()), process.text()));
  const Report report = report_on(loaded, *corpus);
  if (options.text || options.output.json) {
    print_evaluated(options, checkpoint, loaded, *corpus, report);
  }
  if (with_page) {
    write_files(options, {read_run(folder)}, {.test = section_of(report, loaded.header, *corpus)});
  }
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "report",
      "a page of a run or several: losses, the span of every head, settings, the test text next to "
      "common compressors, and a sample");
  auto options = std::make_shared<ReportArguments>();
  command
      ->add_option("RUN_DIR", options->runs,
                   "folders of runs; if not given, the run that was saved last")
      ->type_name("DIR");
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  add_weights(*command, options->weights);
  add_text(*command, "output", options->page, "FILE",
           "the page; if not given, report.html in the run's folder, of several runs in this one");
  add_text(*command, "svg", options->svg, "DIR", "write each chart there");
  add_text(*command, "csv", options->csv, "FILE", "write all numbers there");
  command->add_flag("--text", options->text, "print the report of one run instead of a page");
  command->add_flag("--no-test", options->no_test,
                    "of the records alone: neither the model nor its test text is read");
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command, {"adaspan report", "adaspan report runs/demo --text",
                          "adaspan report runs/a runs/b --output both.html",
                          "adaspan report runs/demo --no-test --svg charts --csv numbers.csv",
                          "adaspan report --checkpoint runs/demo/best.safetensors --json --quiet"});
  command->callback([options] { print_report(*options); });
}

}  // namespace adaspan::cli
