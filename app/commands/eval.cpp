// SPDX-License-Identifier: MIT
#include "app/commands/eval.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {

void print_evaluation(const std::string& checkpoint, const std::string& data, Part part) {
  const LoadedModel loaded = open_model(checkpoint);
  const Corpus corpus = open_corpus(loaded.header, data);
  const Evaluation result = evaluate_part(loaded, corpus, part);
  const DataUnit unit = loaded.header.config.run.data_unit;
  const nlohmann::ordered_json line = {{"part", name(part)},
                                       {"loss", result.loss},
                                       {name(unit), in_unit(result.loss, unit)},
                                       {"tokens", result.tokens},
                                       {"step", loaded.header.progress.step}};
  fmt::print("{}\n", line.dump());
}

void add_eval(CLI::App& app) {
  struct Options {
    std::string checkpoint, data, part = "test";
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "eval",
      "loss of a checkpoint over a whole part of a corpus, from empty memory, in batches of 8");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "the checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--data", options->data, "corpus (the one it was trained on)")
      ->type_name("DIR");
  command->add_option("--part", options->part, "train, valid or test")
      ->check(CLI::IsMember({"train", "valid", "test"}))
      ->capture_default_str();
  command->add_option("--threads", options->threads,
                      "threads to use; 0: as many as this process may use");
  command->callback([options] {
    open_process({.threads = options->threads});
    for (Part part : kParts) {
      if (options->part == name(part)) print_evaluation(options->checkpoint, options->data, part);
    }
  });
}

}  // namespace adaspan::cli
