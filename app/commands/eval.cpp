// SPDX-License-Identifier: MIT
#include "app/commands/eval.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "adaspan/core/error.h"
#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/loss_text.h"
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
          {"bytes", json_of(score.bytes)},
          {"bits_per_character", json_of(score.bits_per_character())},
          {"characters", json_of(score.characters)}};
}

ordered_json json_of_protocol(const PartEvaluation& result) {
  const MeanAndError mean = result.blocks.mean();
  return {{"standard_error", json_of(mean.standard_error)},
          {"standard_error_blocks", mean.blocks},
          {"protocol", name(result.protocol)},
          {"not_scored", result.not_scored},
          {"batch", result.plan.B},
          {"block", result.plan.M},
          {"warm_up", result.plan.W}};
}

using Rows = std::vector<std::pair<std::string, std::string>>;

/// A row for each number that there is.
void add_rows(Rows& rows, const Score& score) {
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
  add("bits per character", score.bits_per_character(), "{:.4f}", score.characters.value_or(0),
      "characters");
}

std::string protocol_text(const PartEvaluation& result) {
  const auto& [B, M, W] = result.plan;
  if (result.protocol == Protocol::reference) {
    return fmt::format(
        "reference: {} rows from empty memory in blocks of {}, mean of the blocks' means; {} "
        "tokens "
        "not scored: the first of each row, and what fills no block",
        B, M, with_commas(result.not_scored));
  }
  return fmt::format(
      "exact: every token but the first, which has no context; {} row{} in blocks of up to {}{}", B,
      B == 1 ? "" : "s", M,
      B == 1 ? "" : fmt::format(", each with the {} tokens before it", with_commas(W)));
}

double bits(double nats) {
  return nats / std::numbers::ln2;
}

/// "0.0123 bits a token (0.0085 nats)"
std::string error_text(const MeanAndError& mean) {
  if (!mean.standard_error) {
    return fmt::format("none: fewer than {} tokens", with_commas(2 * kTextBlock));
  }
  return fmt::format("{:.4f} bits a token ({:.4f} nats), from {} blocks of {} tokens",
                     bits(*mean.standard_error), *mean.standard_error, mean.blocks,
                     with_commas(kTextBlock));
}

/// Another checkpoint on the same tokens.
struct Other {
  std::string path;
  int64_t step;
  double loss;
  MeanAndError difference;  ///< this one's loss less that of the other

  /// Two standard errors are what chance makes of equal models once in twenty.
  const char* verdict() const {
    if (!difference.standard_error) return "undecided";
    if (std::abs(difference.mean) <= 2 * *difference.standard_error) return "undecided";
    return difference.mean < 0 ? "better" : "worse";
  }
};

ordered_json json_of(const Other& other) {
  const auto& [mean, error, blocks] = other.difference;
  return {{"checkpoint", other.path},
          {"step", other.step},
          {"loss", other.loss},
          {"difference", mean},
          {"difference_standard_error", json_of(error)},
          {"difference_bits", bits(mean)},
          {"difference_bits_standard_error", error ? ordered_json(bits(*error)) : ordered_json()},
          {"verdict", other.verdict()}};
}

void add_rows(Rows& rows, const Other& other, DataUnit unit, TextFormat format) {
  rows.emplace_back(
      "against", fmt::format("{}: {:.4f} {}, after step {}", other.path, in_unit(other.loss, unit),
                             unit_text(unit, format), other.step));
  const std::string verdict = other.verdict();
  const std::string meaning = verdict == "undecided"
                                  ? "which one is better cannot be told from this text"
                                  : fmt::format("this one is {} than the other", verdict);
  const auto& [mean, error, blocks] = other.difference;
  rows.emplace_back(
      "difference",
      error ? fmt::format("{:+.4f} +- {:.4f} bits a token ({:+.4f} +- {:.4f} nats): {}", bits(mean),
                          bits(*error), mean, *error, meaning)
            : fmt::format("{:+.4f} bits a token ({:+.4f} nats): {}", bits(mean), mean, meaning));
}

/// Refuses a model of another vocabulary before anything is evaluated.
void check_other(const EvaluationArguments& arguments, const Corpus& corpus) {
  require(arguments.protocol == Protocol::exact,
          "[eval] expected eval.protocol exact with eval.against, so that both models score the "
          "same tokens; got reference; leave it out");
  check_vocabulary(read_header(open_checkpoint(arguments.against)), corpus.identity());
}

Other evaluate_other(Output& output, const EvaluationArguments& arguments, const Corpus& corpus,
                     const PartEvaluation& result) {
  const LoadedModel loaded = open_model(output, arguments.against, arguments.of_other);
  const PartEvaluation other =
      evaluate_part(loaded, corpus, arguments.part, Protocol::exact, arguments.shape);
  return {.path = arguments.against,
          .step = loaded.header.progress.step,
          .loss = other.loss,
          .difference = result.blocks.mean_difference(other.blocks)};
}

}  // namespace

void print_evaluation(Output& output, const Process& process,
                      const EvaluationArguments& arguments) {
  std::optional<LoadedModel> loaded = open_model(output, arguments.checkpoint, arguments.weights);
  const Corpus corpus = open_corpus(*loaded, arguments.checkpoint, arguments.data);
  if (!arguments.against.empty()) check_other(arguments, corpus);
  const PartEvaluation result =
      evaluate_part(*loaded, corpus, arguments.part, arguments.protocol, arguments.shape);
  const DataUnit unit = loaded->header.config.run.data_unit;
  const int64_t step = loaded->header.progress.step;
  loaded.reset();  // its memory may be needed for the other one
  const double shown = in_unit(result.loss, unit);
  ordered_json json = {
      {"part", name(arguments.part)}, {"loss", result.loss}, {name(unit), shown},
      {"tokens", result.tokens},      {"step", step},        {"reading", corpus.reading_text()}};
  if (arguments.weights == Weights::ema) json["weights"] = "ema";
  json.update(json_of(result.score));
  json.update(json_of_protocol(result));
  Rows rows;
  rows.emplace_back("standard error", error_text(result.blocks.mean()));
  add_rows(rows, result.score);
  rows.emplace_back("protocol", protocol_text(result));
  if (!arguments.against.empty()) {
    const Other other = evaluate_other(output, arguments, corpus, result);
    json["against"] = json_of(other);
    add_rows(rows, other, unit, corpus.format());
  }
  output.note(fmt::format("evaluated on {}", process.text()));
  output.result(json, fmt::format("{:<5}  {:.4f} {} over {} tokens, after step {}; {}",
                                  name(arguments.part), shown, unit_text(unit, corpus.format()),
                                  with_commas(result.tokens), step, corpus.reading_text()) +
                          "\n" + aligned(rows));
}

void add_eval(CLI::App& app) {
  struct Options {
    Output output;
    EvaluationArguments arguments;
    std::string part = "test", protocol = "exact";
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand(
      "eval",
      "loss of a checkpoint over a whole part of a corpus: each token but the first once, with all "
      "that the model can see before it");
  auto options = std::make_shared<Options>();
  EvaluationArguments& arguments = options->arguments;
  add_checkpoint(*command, arguments.checkpoint);
  add_data(*command, arguments.data);
  add_weights(*command, arguments.weights);
  add_weights(*command, arguments.of_other, "against-weights");
  add_text(*command, "part", options->part, "train|valid|test", "of the corpus");
  add_text(*command, "against", arguments.against, "FILE",
           "another checkpoint, to be compared token by token");
  add_text(*command, "protocol", options->protocol, "exact|reference",
           "'reference' is the paper's program's: 8 rows that begin with empty memory, the last "
           "partial block dropped, mean of the blocks' means");
  add_evaluation_shape(*command, arguments.shape);
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan eval --checkpoint runs/demo/checkpoint.safetensors",
                "adaspan eval --checkpoint runs/demo/best.safetensors --part valid --json",
                "adaspan eval --checkpoint runs/a/best.safetensors --against "
                "runs/b/best.safetensors"});
  command->callback([options] {
    const Process process = open_process(process_options(options->output, options->threads));
    EvaluationArguments& chosen = options->arguments;
    for (const Part part : kParts) {
      if (options->part == name(part)) chosen.part = part;
    }
    if (options->protocol == name(Protocol::reference)) chosen.protocol = Protocol::reference;
    chosen.checkpoint = choose_checkpoint(options->output, chosen.checkpoint).string();
    if (!chosen.against.empty()) {
      chosen.against = choose_checkpoint(options->output, chosen.against).string();
    }
    print_evaluation(options->output, process, chosen);
  });
}

}  // namespace adaspan::cli
