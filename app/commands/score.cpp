// SPDX-License-Identifier: MIT
#include "adaspan/train/run/score_text.h"

#include <fmt/core.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numbers>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/data/utf8.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

struct ScoreArguments {
  Output output;
  std::string file, checkpoint, data;
  Weights weights = Weights::last;
  ScoreTextOptions options;
  int threads = 0;
};

std::string read_standard_input() {
  std::string text;
  char block[1 << 16];
  while (const size_t n = std::fread(block, 1, sizeof block, stdin)) text.append(block, n);
  require(!std::ferror(stdin),
          "[score] expected a text from standard input; got an error; give a "
          "file, or a pipe that stays open");
  return text;
}

/// The first characters of a line as they can be shown.
std::string start_of(std::string_view line) {
  constexpr size_t kShown = 40;
  if (line.ends_with('\n')) line.remove_suffix(1);
  std::string text;
  for (size_t n = 0; n < kShown && !line.empty(); ++n) {
    const size_t bytes = first_character(line).bytes;
    text += visible(line.substr(0, bytes));
    line.remove_prefix(bytes);
  }
  return line.empty() ? text : text + "...";
}

ordered_json json_of(const LineScore& score) {
  const auto bits = score.bits_per_byte();
  return {{"bytes", score.bytes},   {"scored_bytes", score.scored_bytes},
          {"tokens", score.tokens}, {"unknown", score.unknown},
          {"nats", score.nats},     {"bits_per_byte", bits ? ordered_json(*bits) : ordered_json()}};
}

std::string bits_text(const LineScore& score) {
  const auto bits = score.bits_per_byte();
  return bits ? fmt::format("{:.4f}", *bits) : "-";
}

/// What each token was scored by.
std::string rule_text(const TextScore& score, bool independent) {
  if (!independent) return "memory passes from line to line; the first token has no context";
  return score.text.line_end_before ? "each line from empty memory, after an end of a line"
                                    : "each line from empty memory; its first token has no context";
}

/// The number of the line and its score, then the start of its text.
std::string line_table(const TextScore& score) {
  std::vector<std::vector<std::string>> rows = {{"line", "bytes", "nats", "bits/byte", "unknown"}};
  for (size_t l = 0; l < score.lines.size(); ++l) {
    const LineScore& line = score.lines[l];
    rows.push_back({fmt::format("{}", l + 1), fmt::format("{}", line.bytes),
                    fmt::format("{:.3f}", line.nats), bits_text(line),
                    fmt::format("{}", line.unknown)});
  }
  const std::string numbers = table(rows);
  std::string text;
  size_t begin = 0;
  for (size_t row = 0; row < rows.size(); ++row) {
    const size_t end = numbers.find('\n', begin);
    const std::string shown = row == 0 ? "text" : start_of(score.text.lines[row - 1].text);
    text += numbers.substr(begin, end - begin) + (shown.empty() ? "" : "  ") + shown + "\n";
    begin = end + 1;
  }
  return text;
}

std::string whole_text(const TextScore& score, const std::string& rule, const Corpus& corpus) {
  const LineScore& whole = score.whole;
  const bool words = corpus.format() == TextFormat::words;
  std::vector<std::pair<std::string, std::string>> rows = {
      {"lines", with_commas(static_cast<int64_t>(score.lines.size()))},
      {"bits per byte", fmt::format("{} ({} of {} bytes)", bits_text(whole),
                                    with_commas(whole.scored_bytes), with_commas(whole.bytes))},
      {"perplexity", fmt::format("{:.3f} ({} tokens, {:.3f} nats)",
                                 std::exp(whole.nats / static_cast<double>(whole.tokens)),
                                 with_commas(whole.tokens), whole.nats)},
      {"not scored", fmt::format("{} without context; {} unknown {}", with_commas(score.not_scored),
                                 with_commas(whole.unknown), words ? "words" : "characters")},
      {"rule", rule},
      {"read as", corpus.reading_text()}};
  return aligned(rows);
}

ordered_json json_of_whole(const TextScore& score, bool independent, const Corpus& corpus) {
  const double tokens = static_cast<double>(score.whole.tokens);
  ordered_json json = {{"lines", score.lines.size()}};
  json.update(json_of(score.whole));
  json.update({{"not_scored", score.not_scored},
               {"loss", score.whole.nats / tokens},
               {"perplexity", std::exp(score.whole.nats / tokens)},
               {"independent", independent},
               {"line_end_before_lines", score.text.line_end_before},
               {"line_end_added", score.text.line_end_added},
               {"batch", score.plan.B},
               {"block", score.plan.M},
               {"warm_up", score.plan.W},
               {"reading", corpus.reading_text()}});
  return json;
}

void score(ScoreArguments& arguments) {
  Output& output = arguments.output;
  const Process process = open_process(process_options(output, arguments.threads));
  const bool from_input = arguments.file == "-";
  const std::string text = from_input ? read_standard_input() : read_text(arguments.file);
  const std::string name = from_input ? "standard input" : arguments.file;
  const std::filesystem::path checkpoint = choose_checkpoint(output, arguments.checkpoint);
  const LoadedModel loaded = open_model(output, checkpoint, arguments.weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, arguments.data);
  const TextScore score = score_text(loaded, corpus, text, name, arguments.options);
  output.note(fmt::format("scored on {}", process.text()));
  if (score.text.line_end_added) {
    output.note("an end of a line was added after the text, as to the parts of the corpus");
  }
  const bool independent = arguments.options.independent;
  if (output.json) {
    for (size_t l = 0; l < score.lines.size(); ++l) {
      ordered_json json = {{"line", l + 1}};
      json.update(json_of(score.lines[l]));
      json["text"] = start_of(score.text.lines[l].text);
      output.result(json, "");
    }
  }
  output.result(
      json_of_whole(score, independent, corpus),
      line_table(score) + "\n" + whole_text(score, rule_text(score, independent), corpus));
}

}  // namespace

void add_score(CLI::App& app) {
  CLI::App* command = app.add_subcommand("score",
                                         "how well a model predicts a text: bits per byte of each "
                                         "line and of the whole. Memory passes "
                                         "from line to line. Characters or words that the model's "
                                         "corpus does not have are left out of "
                                         "the sum, and counted");
  auto arguments = std::make_shared<ScoreArguments>();
  add_word(*command, "FILE", arguments->file, "FILE", "the text; - for standard input");
  add_checkpoint(*command, arguments->checkpoint);
  add_data(*command, arguments->data);
  add_weights(*command, arguments->weights);
  command->add_flag("--independent", arguments->options.independent,
                    "each line from empty memory, after an end of a line; where the corpus has "
                    "none, a line's first token is not scored");
  add_evaluation_shape(*command, arguments->options.shape);
  add_threads(*command, arguments->threads);
  add_output(*command, arguments->output);
  add_examples(*command, {"adaspan score my.txt --checkpoint runs/demo/checkpoint.safetensors",
                          "adaspan score lines.txt --independent --json",
                          "echo 'A cat is an animal.' | adaspan score -"});
  command->callback([arguments] { score(*arguments); });
}

}  // namespace adaspan::cli
