// SPDX-License-Identifier: MIT
#include "adaspan/models/generate.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaspan/train/data/prompt.h"
#include "adaspan/train/run/memory_check.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

struct GenerateArguments {
  Output output;
  std::string checkpoint, data, unknown = "refuse";
  std::optional<std::string> prompt;
  GenerateOptions generate;
  Weights weights = Weights::last;
  int threads = 0;
};

/// The ids of the prompt; what was done with unknown tokens is noted.
std::vector<int32_t> prompt_ids(GenerateArguments& options, const Corpus& corpus) {
  if (!options.prompt) return {corpus.part(Part::test)[0]};
  Prompt prompt = encode_prompt(*options.prompt, corpus.vocabulary(), corpus.reading(),
                                unknown_tokens(options.unknown));
  const bool words = corpus.format() == TextFormat::words;
  const auto tell = [&](int64_t count, const char* what) {
    if (count == 0) return;
    options.output.note(fmt::format("{} unknown {}{} of the prompt {}", count,
                                    words ? "word" : "character", count == 1 ? "" : "s", what));
  };
  tell(prompt.skipped, "left out");
  tell(prompt.replaced, "taken as <unk>");
  if (prompt.newlines > 0) {
    options.output.note(fmt::format("{} newline{} of the prompt dropped, as in the corpus",
                                    prompt.newlines, prompt.newlines == 1 ? "" : "s"));
  }
  return std::move(prompt.ids);
}

void write(GenerateArguments& options) {
  const Process process = open_process(process_options(options.output, options.threads));
  const std::filesystem::path checkpoint = choose_checkpoint(options.output, options.checkpoint);
  const LoadedModel loaded = open_model(options.output, checkpoint, options.weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, options.data);
  const std::vector<int32_t> prompt = prompt_ids(options, corpus);
  require_memory("this generation",
                 generation_need(loaded.model->config(), static_cast<int64_t>(prompt.size()),
                                 options.generate.length, loaded.model->spans()),
                 "use a shorter prompt, or a machine with more");
  const auto ids = generate(*loaded.model, prompt, options.generate);
  options.output.note(fmt::format("{} tokens, written on {}", ids.size(), process.text()));
  const std::string text = corpus.vocabulary().decode(ids, corpus.format());
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
  add_weights(*command, options->weights);
  command
      ->add_option("--prompt", options->prompt,
                   "text to go on from; if not given, the first token of the test part")
      ->type_name("TEXT");
  add_text(*command, "unknown", options->unknown, "refuse|skip",
           "what to do with characters or words of the prompt that the corpus does not have");
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
