// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <fmt/core.h>

#include <vector>

#include "app/commands/commands.h"

namespace adaspan::cli {

void add_prepare(CLI::App& app) {
  struct Options {
    PrepareOptions prepare;
    std::string format = "bytes", order = "first_seen", input, valid, test, out;
    std::vector<double> split = {0.9, 0.05, 0.05};
  };
  CLI::App* command = app.add_subcommand("prepare", "turn a text into a corpus, once");
  auto options = std::make_shared<Options>();
  command
      ->add_option(
          "--format", options->format,
          "bytes: every byte a token; enwik8: the same, lines end with a token; text8: one "
          "such token at the end of each part; words: white-space separated")
      ->check(CLI::IsMember({"bytes", "enwik8", "text8", "words"}))
      ->capture_default_str();
  command->add_option("--input", options->input, "the text")->required()->type_name("FILE");
  command->add_option("--valid", options->valid, "the validation text, if it is a file of its own")
      ->type_name("FILE");
  command->add_option("--test", options->test, "the test text, if it is a file of its own")
      ->type_name("FILE");
  command->add_option("--out", options->out, "folder of the corpus")->required()->type_name("DIR");
  command->add_option("--split", options->split, "shares of training, validation and test text")
      ->delimiter(',')
      ->expected(3)
      ->capture_default_str();
  command
      ->add_option("--order", options->order,
                   "ids by first_seen in the training part, or by falling_count")
      ->check(CLI::IsMember({"first_seen", "falling_count"}))
      ->capture_default_str();
  command->callback([options] {
    PrepareOptions& p = options->prepare;
    p.format = text_format(options->format);
    p.order = vocabulary_order(options->order);
    p.input = options->input;
    p.valid = options->valid;
    p.test = options->test;
    p.out = options->out;
    std::copy(options->split.begin(), options->split.end(), p.split.begin());
    const PrepareReport report = prepare_corpus(p);
    fmt::print("{}: {} tokens of {} kinds (train {}, valid {}, test {}){}\n", options->out,
               report.tokens[0] + report.tokens[1] + report.tokens[2], report.vocabulary_size,
               report.tokens[0], report.tokens[1], report.tokens[2],
               report.up_to_date ? "; was up to date" : "");
    const int64_t unseen = report.new_tokens[1] + report.new_tokens[2];
    if (unseen > 0) {
      fmt::print("note: {} kinds of token are not in the training part; no model learns them\n",
                 unseen);
    }
  });
}

}  // namespace adaspan::cli
