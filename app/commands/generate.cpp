// SPDX-License-Identifier: MIT
#include "adaspan/models/generate.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {
namespace {

struct GenerateArguments {
  Output output;
  std::string checkpoint, data;
  std::optional<std::string> prompt;
  GenerateOptions generate;
  int threads = 0;
};

void write(GenerateArguments& options) {
  const Process process = open_process({.threads = options.threads});
  const LoadedModel loaded = open_model(options.output, options.checkpoint);
  const Corpus corpus = open_corpus(loaded, options.checkpoint, options.data);
  const Vocabulary& vocabulary = corpus.vocabulary();
  const std::vector<int32_t> prompt = options.prompt
                                          ? vocabulary.encode(*options.prompt, corpus.format())
                                          : std::vector<int32_t>{corpus.part(Part::test)[0]};
  const auto ids = generate(*loaded.model, prompt, options.generate);
  options.output.note(fmt::format("{} tokens, written on {}", ids.size(), process.text()));
  const std::string text = vocabulary.decode(ids, corpus.format());
  options.output.result({{"text", text},
                         {"tokens", ids.size()},
                         {"seed", options.generate.seed},
                         {"temperature", options.generate.temperature},
                         {"step", loaded.header.progress.step}},
                        text + "\n");
}

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "let a trained model write");
  auto options = std::make_shared<GenerateArguments>();
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  command
      ->add_option("--prompt", options->prompt,
                   "text to go on from; if not given, the first token of the test part")
      ->type_name("TEXT");
  add_whole_number(*command, "length", options->generate.length, "tokens to draw");
  command
      ->add_option("--temperature", options->generate.temperature,
                   "below 1: likelier text; 0: always the likeliest token")
      ->type_name("NUMBER")
      ->capture_default_str();
  add_whole_number(*command, "seed", options->generate.seed, "first number of the random stream");
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan generate --checkpoint runs/demo/checkpoint.safetensors",
                "adaspan generate --checkpoint runs/demo/best.safetensors --prompt 'A cat is ' "
                "--length 500 --temperature 0.6"});
  command->callback([options] { write(*options); });
}

}  // namespace adaspan::cli
