// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "app/commands/commands.h"
#include "app/commands/common_options.h"

namespace adaspan::cli {
namespace {

void print_report(Output& output, const std::string& folder, const PrepareReport& report) {
  const auto& [train, valid, test] = report.tokens;
  const int64_t unseen = report.new_tokens[1] + report.new_tokens[2];
  output.result({{"folder", folder},
                 {"tokens", {{"train", train}, {"valid", valid}, {"test", test}}},
                 {"kinds", report.vocabulary_size},
                 {"kinds_not_in_train", unseen},
                 {"up_to_date", report.up_to_date}},
                fmt::format("{}: {} tokens of {} kinds (train {}, valid {}, test {}){}", folder,
                            train + valid + test, report.vocabulary_size, train, valid, test,
                            report.up_to_date ? "; was up to date" : ""));
  if (unseen > 0) {
    output.note(fmt::format(
        "note: {} kinds of token are not in the training part; no model learns them", unseen));
  }
}

}  // namespace

void add_prepare(CLI::App& app) {
  struct Options {
    Output output;
    PrepareOptions prepare;
    std::string format = "bytes", order = "first_seen", input, valid, test, out;
    std::vector<double> split = {0.9, 0.05, 0.05};
  };
  CLI::App* command = app.add_subcommand("prepare", "turn a text into a corpus, once");
  auto options = std::make_shared<Options>();
  add_text(*command, "input", options->input, "FILE", "the text")->required();
  add_text(*command, "out", options->out, "DIR", "folder of the corpus")->required();
  add_text(*command, "format", options->format, "bytes|enwik8|text8|words",
           "bytes: every byte a token; enwik8: the same, lines end with a token; text8: one "
           "such token at the end of each part; words: white-space separated");
  add_text(*command, "valid", options->valid, "FILE",
           "the validation text, if it is a file of its own");
  add_text(*command, "test", options->test, "FILE", "the test text, if it is a file of its own");
  command->add_option("--split", options->split, "shares of training, validation and test text")
      ->type_name("NUMBER")
      ->delimiter(',')
      ->expected(3)
      ->default_str("0.9,0.05,0.05");
  add_text(*command, "order", options->order, "first_seen|falling_count",
           "of ids: as tokens come in the training part, or by how often they do");
  add_output(*command, options->output);
  add_examples(
      *command,
      {"adaspan prepare --input my.txt --out data/my",
       "adaspan prepare --input my.txt --out data/my --split 0.8,0.1,0.1",
       "adaspan prepare --format words --input train.txt --valid valid.txt --test test.txt "
       "--out data/words"});
  command->callback([options] {
    PrepareOptions& p = options->prepare;
    p.format = text_format(options->format);
    p.order = vocabulary_order(options->order);
    p.input = options->input;
    p.valid = options->valid;
    p.test = options->test;
    p.out = options->out;
    std::copy(options->split.begin(), options->split.end(), p.split.begin());
    print_report(options->output, options->out, prepare_corpus(p));
  });
}

}  // namespace adaspan::cli
