// SPDX-License-Identifier: MIT
#include "app/commands/common_options.h"

#include <fmt/ranges.h>

#include "adaspan/core/error.h"
#include "app/settings.h"
#include "app/suggestion.h"
#include "app/threads.h"

namespace adaspan::cli {

CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& text,
                      const std::string& type, const std::string& help) {
  return command
      .add_option_function<std::string>(
          "--" + name,
          [&text, name, type](const std::string& given) {
            require_alternative(name, given, type);
            require(!given.empty(), "[settings] expected --{} {}; got an empty text", name, type);
            text = given;
          },
          help)
      ->type_name(type)
      ->default_str(text)
      ->take_last();
}

CLI::Option* add_word(CLI::App& command, const std::string& name, std::string& text,
                      const std::string& type, const std::string& help) {
  return command.add_option(name, text, help)->type_name(type)->required();
}

CLI::Option* add_whole_number(CLI::App& command, const std::string& name,
                              std::optional<int64_t>& number, const std::string& help) {
  return command
      .add_option_function<std::string>(
          "--" + name,
          [&number, name](const std::string& given) {
            number = whole_number<int64_t>(name, given);
          },
          help)
      ->type_name("INTEGER")
      ->take_last();
}

void add_checkpoint(CLI::App& command, std::string& checkpoint) {
  add_text(command, "checkpoint", checkpoint, "FILE",
           "the checkpoint; of a run's folder the best one; if not given, of the run in runs/ that "
           "was saved last");
}

void add_data(CLI::App& command, std::string& data) {
  add_text(command, "data", data, "DIR",
           "folder of the corpus, if it is not the one that the checkpoint names");
}

void add_evaluation_shape(CLI::App& command, EvaluationShape& shape) {
  add_whole_number(
      command, "batch-sz", shape.rows,
      "rows that the text is read in; changes speed and memory, no value; if not given, as many as "
      "cost little and fit");
  add_whole_number(command, "block-sz", shape.block, "tokens of a row at a time; likewise");
}

void add_weights(CLI::App& command, Weights& weights, const std::string& name) {
  command
      .add_option_function<std::string>(
          "--" + name,
          [&weights, name](const std::string& given) {
            require_alternative(name, given, "last|ema");
            weights = given == "ema" ? Weights::ema : Weights::last;
          },
          name == "weights"
              ? "of the checkpoint: the last ones, or their average, which a training "
                "with --ema keeps"
              : "the same of the other checkpoint")
      ->type_name("last|ema")
      ->default_str("last")
      ->take_last();
}

void add_threads(CLI::App& command, int& threads) {
  command
      .add_option_function<std::string>(
          "--threads", [&threads](const std::string& given) { threads = threads_of(given); },
          flag("threads").help)
      ->type_name("INTEGER")
      ->default_str("0")
      ->group("Process")
      ->take_last();
}

void add_output(CLI::App& command, Output& output) {
  command.add_flag("--json", output.json, "results as JSON, an object a line")->group("Output");
  command.add_flag("--quiet", output.quiet, "no notes, no progress; errors are still told")
      ->group("Output");
}

void add_examples(CLI::App& command, std::initializer_list<const char*> lines) {
  command.footer(fmt::format("Examples:\n  {}", fmt::join(lines, "\n  ")));
}

}  // namespace adaspan::cli
