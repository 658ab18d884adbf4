// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/data/prompt.h"
#include "adaspan/train/run/memory_check.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/head_weights.h"
#include "app/spans_page.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

constexpr int64_t kMostTokens = 100000;

struct SpansArguments {
  Output output;
  std::string place, checkpoint, data, file, unknown = "refuse", html, svg;
  std::optional<std::string> text;
  AskedHead head;
  Weights weights = Weights::last;
  int threads = 0;
};

std::string given_text(const SpansArguments& arguments) {
  require(arguments.text.has_value() != !arguments.file.empty(),
          "[spans] expected --text or --file; got {}; give one of them",
          arguments.text ? "both" : "neither");
  const std::string text = arguments.text ? *arguments.text
                           : arguments.file == "-"
                               ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                               : read_text(arguments.file);
  require(!text.empty(),
          "[spans] expected a text; got an empty one; write something with --text, "
          "or name a file that has something in it");
  return text;
}

std::string given_checkpoint(const SpansArguments& arguments) {
  require(arguments.place.empty() || arguments.checkpoint.empty(),
          "[spans] expected one checkpoint; got {} and {}; name one of them", arguments.place,
          arguments.checkpoint);
  return arguments.place.empty() ? arguments.checkpoint : arguments.place;
}

/// The tokens of the text; what was done with unknown ones is noted.
std::vector<int32_t> tokens_of(SpansArguments& arguments, const std::string& text,
                               const Corpus& corpus) {
  Prompt prompt =
      encode_prompt(text, corpus.vocabulary(), corpus.reading(), unknown_tokens(arguments.unknown));
  const auto count = static_cast<int64_t>(prompt.ids.size());
  require(count <= kMostTokens, "[spans] expected a text of at most {} tokens; got {}; take a part",
          with_commas(kMostTokens), with_commas(count));
  if (prompt.skipped + prompt.replaced + prompt.newlines > 0) {
    arguments.output.note(
        fmt::format("of the text {} unknown tokens left out, {} taken as <unk>, "
                    "{} newlines dropped",
                    prompt.skipped, prompt.replaced, prompt.newlines));
  }
  return std::move(prompt.ids);
}

/// Of the model, a block's and the last tokens' weights, z of every token, and what each attends
/// to.
MemoryNeed need_of(const Transformer& model, size_t tokens, int64_t block) {
  const ModelConfig& c = model.config();
  const auto T = static_cast<double>(tokens);
  MemoryNeed need = evaluation_need(c, 1, block, static_cast<int64_t>(tokens), model.spans());
  const auto rows = static_cast<double>(block + AttentionOverText::kRecent);
  need.memory += sizeof(double) * rows * static_cast<double>(c.span_limit) +
                 sizeof(float) * T * static_cast<double>(c.layers * c.heads) +
                 sizeof(Attended) * T * static_cast<double>(AttentionOverText::kStrongest + 2);
  return need;
}

/// --html and --svg.
void write_files(SpansArguments& arguments, const TextReading& reading,
                 const std::string& checkpoint) {
  const auto write = [&](const std::filesystem::path& path, const std::string& text) {
    make_folder_of(path);
    atomic_write(path, text);
    arguments.output.note(fmt::format("written: {}", path.string()));
  };
  if (!arguments.html.empty()) write(arguments.html, page_of(reading, checkpoint));
  if (arguments.svg.empty()) return;
  for (const NamedChart& chart : charts_of(reading)) {
    write(std::filesystem::path(arguments.svg) / (chart.name + ".svg"), chart.svg);
  }
}

void print_spans(SpansArguments& arguments) {
  Output& output = arguments.output;
  const std::string text = given_text(arguments);
  const Process process = open_process(process_options(output, arguments.threads));
  const std::filesystem::path checkpoint = choose_checkpoint(output, given_checkpoint(arguments));
  const LoadedModel loaded = open_model(output, checkpoint, arguments.weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, arguments.data);
  const ModelConfig& model = loaded.model->config();
  check_head(model, arguments.head.layer.value_or(0), arguments.head.head.value_or(0));
  const std::vector<int32_t> ids = tokens_of(arguments, text, corpus);
  const int64_t block = loaded.header.config.batch.block;
  require_memory("looking at this text", need_of(*loaded.model, ids.size(), block),
                 "take a part of the text, or a machine with more");

  TextReading reading;
  reading.cells = text_cells(ids, corpus.vocabulary(), corpus.format());
  reading.model = model;
  reading.words = corpus.format() == TextFormat::words;
  reading.spans = spans_over_text(*loaded.model, ids, block);
  reading.attention =
      attention_over_text(*loaded.model, ids, block, furthest_head(reading.spans, arguments.head));
  output.note(
      fmt::format("{} tokens, read on {}", with_commas(reading.spans.tokens), process.text()));
  write_files(arguments, reading, checkpoint.string());
  if (!output.json) return output.result({}, text_of(reading));
  for (const nlohmann::ordered_json& line : json_of(reading)) output.result(line, "");
}

}  // namespace

void add_spans(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "spans",
      "how far a model looks back at each character of a text, and what one of its heads "
      "attends to");
  auto arguments = std::make_shared<SpansArguments>();
  command
      ->add_option("CHECKPOINT", arguments->place,
                   "the checkpoint, or a run's folder, as --checkpoint")
      ->type_name("FILE");
  add_checkpoint(*command, arguments->checkpoint);
  add_data(*command, arguments->data);
  add_weights(*command, arguments->weights);
  command->add_option("--text", arguments->text, "the text")->type_name("TEXT");
  add_text(*command, "file", arguments->file, "FILE",
           "the same from a file; -: from standard input");
  add_text(*command, "unknown", arguments->unknown, "refuse|skip",
           "what to do with characters or words of the text that the corpus does not have");
  add_whole_number(
      *command, "layer", arguments->head.layer,
      "the layer of the head, from 0; if not given, that of the head that looks back furthest");
  add_whole_number(*command, "head", arguments->head.head, "the head, from 0; likewise");
  add_text(*command, "html", arguments->html, "FILE",
           "write a page with the text and charts, to point at and to print");
  add_text(*command, "svg", arguments->svg, "DIR", "write each chart there");
  add_threads(*command, arguments->threads);
  add_output(*command, arguments->output);
  add_examples(*command, {"adaspan spans runs/demo --text 'A cat is an animal with four legs.'",
                          "adaspan spans --file my.txt --layer 3 --head 0",
                          "adaspan spans runs/demo --file my.txt --html spans.html --svg charts",
                          "adaspan spans runs/demo/best.safetensors --file my.txt --json --quiet"});
  command->callback([arguments] { print_spans(*arguments); });
}

}  // namespace adaspan::cli
