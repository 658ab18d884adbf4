// SPDX-License-Identifier: MIT
#include "app/commands/eval.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/threads.h"

namespace adaspan::cli {

namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json json_of(const std::optional<T>& number) {
  return number ? ordered_json(*number) : ordered_json();
}

ordered_json json_of(const Score& score) {
  return {{"nats", score.nats},
          {"perplexity", score.perplexity()},
          {"perplexity_without_line_ends", json_of(score.perplexity_without_line_ends())},
          {"line_ends", score.line_ends},
          {"perplexity_per_word", json_of(score.perplexity_per_word())},
          {"words", json_of(score.words)},
          {"bits_per_byte", json_of(score.bits_per_byte())},
          {"bytes", json_of(score.bytes)}};
}

/// A row for each number that there is.
std::string text_of(const Score& score) {
  std::vector<std::pair<std::string, std::string>> rows;
  const auto add = [&](const char* title, const std::optional<double>& number, const char* format,
                       int64_t count, const char* what) {
    if (!number) return;
    rows.emplace_back(title, fmt::format(fmt::runtime(format), *number) +
                                 fmt::format(" ({} {})", with_commas(count), what));
  };
  add("perplexity", score.perplexity(), "{:.3f}", score.tokens,
      score.line_ends > 0 ? "tokens, ends of lines counted" : "tokens");
  add("without ends of lines", score.perplexity_without_line_ends(), "{:.3f}",
      score.tokens - score.line_ends, "tokens");
  add("per word", score.perplexity_per_word(), "{:.5g}", score.words.value_or(0), "words");
  add("bits per byte", score.bits_per_byte(), "{:.4f}", std::llround(score.bytes.value_or(0)),
      "bytes");
  return aligned(rows);
}

}  // namespace

void print_evaluation(Output& output, const Process& process, const std::string& checkpoint,
                      const std::string& data, Part part, Weights weights) {
  const LoadedModel loaded = open_model(output, checkpoint, weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, data);
  const PartEvaluation result = evaluate_part(loaded, corpus, part);
  output.note(fmt::format("evaluated on {}", process.text()));
  const DataUnit unit = loaded.header.config.run.data_unit;
  const double shown = in_unit(result.loss, unit);
  const int64_t step = loaded.header.progress.step;
  ordered_json json = {{"part", name(part)}, {"loss", result.loss},
                       {name(unit), shown},  {"tokens", result.tokens},
                       {"step", step},       {"reading", corpus.reading_text()}};
  if (weights == Weights::ema) json["weights"] = "ema";
  json.update(json_of(result.score));
  output.result(json,
                fmt::format("{:<5}  {:.4f} {} over {} tokens, after step {}; {}", name(part), shown,
                            name(unit), with_commas(result.tokens), step, corpus.reading_text()) +
                    "\n" + text_of(result.score));
}

void add_eval(CLI::App& app) {
  struct Options {
    Output output;
    std::string checkpoint, data, part = "test";
    Weights weights = Weights::last;
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "eval",
      "loss of a checkpoint over a whole part of a corpus, from empty memory, in batches of 8");
  auto options = std::make_shared<Options>();
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  add_weights(*command, options->weights);
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
                       choose_checkpoint(options->output, options->checkpoint), options->data, part,
                       options->weights);
    }
  });
}

}  // namespace adaspan::cli
