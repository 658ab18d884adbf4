// SPDX-License-Identifier: MIT
#include "adaspan/models/generate.h"

#include <fmt/core.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaspan/ops/process.h"
#include "adaspan/train/data/prompt.h"
#include "app/commands/commands.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {
namespace {

/// The ids of the prompt; what was done with unknown tokens is told on stderr.
std::vector<int32_t> prompt_ids(const std::string& text, const Corpus& corpus,
                                UnknownTokens unknown) {
  Prompt prompt = encode_prompt(text, corpus.vocabulary(), corpus.format(), unknown);
  const bool words = corpus.format() == TextFormat::words;
  const auto tell = [&](int64_t count, const char* what) {
    if (count == 0) return;
    fmt::print(stderr, "note: {} unknown {}{} of the prompt {}\n", count,
               words ? "word" : "character", count == 1 ? "" : "s", what);
  };
  tell(prompt.skipped, "left out");
  tell(prompt.replaced, "taken as <unk>");
  return std::move(prompt.ids);
}

}  // namespace

void add_generate(CLI::App& app) {
  struct Options {
    std::string checkpoint, data, unknown = "refuse";
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
  command
      ->add_option(
          "--unknown", options->unknown,
          "what to do with characters or words of the prompt that the corpus does not have")
      ->check(CLI::IsMember({"refuse", "skip"}))
      ->capture_default_str();
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
    const std::vector<int32_t> prompt =
        options->prompt ? prompt_ids(*options->prompt, corpus, unknown_tokens(options->unknown))
                        : std::vector<int32_t>{corpus.part(Part::test)[0]};
    const auto ids = generate(*loaded.model, prompt, options->generate);
    fmt::print("{}\n", corpus.vocabulary().decode(ids, corpus.format()));
  });
}

}  // namespace adaspan::cli
