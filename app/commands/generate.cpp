// SPDX-License-Identifier: MIT
#include "adaspan/models/generate.h"

#include <fmt/core.h>

#include <optional>
#include <string>
#include <vector>

#include "adaspan/ops/process.h"
#include "adaspan/train/run/memory_check.h"
#include "app/commands/commands.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {

void add_generate(CLI::App& app) {
  struct Options {
    std::string checkpoint, data;
    std::optional<std::string> prompt;
    GenerateOptions generate;
  };
  CLI::App* command = app.add_subcommand("generate", "let a trained model write");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "the checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--data", options->data, "corpus (the one it was trained on)")
      ->type_name("DIR");
  command->add_option("--prompt", options->prompt,
                      "text to go on from (the first token of the test part)");
  command->add_option("--length", options->generate.length, "tokens to draw")
      ->capture_default_str();
  command
      ->add_option("--temperature", options->generate.temperature,
                   "below 1: likelier text; 0: always the likeliest token")
      ->capture_default_str();
  command->add_option("--seed", options->generate.seed, "first number of the random stream")
      ->capture_default_str();
  command->callback([options] {
    open_process();
    const LoadedModel loaded = open_model(options->checkpoint);
    const Corpus corpus = open_corpus(loaded.header, options->data);
    const Vocabulary& vocabulary = corpus.vocabulary();
    const std::vector<int32_t> prompt = options->prompt
                                            ? vocabulary.encode(*options->prompt, corpus.format())
                                            : std::vector<int32_t>{corpus.part(Part::test)[0]};
    require_memory("this generation",
                   generation_need(loaded.model->config(), static_cast<int64_t>(prompt.size()),
                                   options->generate.length, loaded.model->spans()),
                   "use a shorter prompt");
    const auto ids = generate(*loaded.model, prompt, options->generate);
    fmt::print("{}\n", vocabulary.decode(ids, corpus.format()));
  });
}

}  // namespace adaspan::cli
