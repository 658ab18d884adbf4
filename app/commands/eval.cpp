// SPDX-License-Identifier: MIT
#include "app/commands/eval.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/threads.h"

namespace adaspan::cli {

void print_evaluation(Output& output, const Process& process, const std::string& checkpoint,
                      const std::string& data, Part part) {
  const LoadedModel loaded = open_model(output, checkpoint);
  const Corpus corpus = open_corpus(loaded, checkpoint, data);
  const Evaluation result = evaluate_part(loaded, corpus, part);
  output.note(fmt::format("evaluated on {}", process.text()));
  const DataUnit unit = loaded.header.config.run.data_unit;
  const double shown = in_unit(result.loss, unit);
  const int64_t step = loaded.header.progress.step;
  output.result({{"part", name(part)},
                 {"loss", result.loss},
                 {name(unit), shown},
                 {"tokens", result.tokens},
                 {"step", step},
                 {"reading", corpus.reading_text()}},
                fmt::format("{:<5}  {:.4f} {} over {} tokens, after step {}; {}", name(part), shown,
                            name(unit), with_commas(result.tokens), step, corpus.reading_text()));
}

void add_eval(CLI::App& app) {
  struct Options {
    Output output;
    std::string checkpoint, data, part = "test";
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "eval",
      "loss of a checkpoint over a whole part of a corpus, from empty memory, in batches of 8");
  auto options = std::make_shared<Options>();
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  add_text(*command, "part", options->part, "train|valid|test", "of the corpus");
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan eval --checkpoint runs/demo/checkpoint.safetensors",
                "adaspan eval --checkpoint runs/demo/best.safetensors --part valid --json"});
  command->callback([options] {
    const Process process = open_process(process_options(options->output, options->threads));
    for (Part part : kParts) {
      if (options->part != name(part)) continue;
      print_evaluation(options->output, process,
                       choose_checkpoint(options->output, options->checkpoint), options->data,
                       part);
    }
  });
}

}  // namespace adaspan::cli
