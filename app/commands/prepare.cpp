// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/commands/commands.h"
#include "app/commands/common_options.h"

namespace adaspan::cli {
namespace {

PrepareReport prepare_with_progress(Output& output, PrepareOptions options) {
  const auto start = std::chrono::steady_clock::now();
  constexpr double kWithoutAWord = 1;  // second
  options.progress = [&output, start](uint64_t done, uint64_t total) {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - start;
    if (since.count() < kWithoutAWord || !output.progress_due()) return;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    output.progress(fmt::format("prepared {:.0f}% of {:.0f} MB  {} left", 100 * part,
                                static_cast<double>(total) / 1e6,
                                duration_text(since.count() * (1 - part) / part)));
  };
  PrepareReport report = prepare_corpus(options);
  output.end_progress();
  return report;
}

void print_report(Output& output, const std::string& folder, const PrepareReport& report,
                  const PrepareOptions& options) {
  const auto& [train, valid, test] = report.tokens;
  const int64_t unseen = report.new_tokens[1] + report.new_tokens[2];
  const int64_t unknown = report.unknown[0] + report.unknown[1] + report.unknown[2];
  output.result({{"folder", folder},
                 {"tokens", {{"train", train}, {"valid", valid}, {"test", test}}},
                 {"kinds", report.vocabulary_size},
                 {"newline", name(options.newline)},
                 {"kinds_not_in_train", unseen},
                 {"unknown", unknown},
                 {"up_to_date", report.up_to_date}},
                fmt::format("{}: {} tokens of {} kinds (train {}, valid {}, test {}){}{}", folder,
                            train + valid + test, report.vocabulary_size, train, valid, test,
                            options.newline == Newline::drop ? "; newlines dropped" : "",
                            report.up_to_date ? "; was up to date" : ""));
  if (report.lacks_bytes) {
    output.note(fmt::format(
        "note: {} has the older vocabulary of {} bytes, which runs may depend on; another --out "
        "folder gets all 256",
        folder, report.vocabulary_size));
  }
  if (options.minimum_count) {
    output.note(fmt::format("note: {} tokens are <unk> (train {}, valid {}, test {})", unknown,
                            report.unknown[0], report.unknown[1], report.unknown[2]));
  }
  if (unseen > 0) {
    output.note(fmt::format("note: {} of token {} not in the training part; no model learns {}",
                            unseen == 1 ? "1 kind" : fmt::format("{} kinds", unseen),
                            unseen == 1 ? "is" : "are", unseen == 1 ? "it" : "them"));
  }
}

}  // namespace

void add_prepare(CLI::App& app) {
  struct Options {
    Output output;
    PrepareOptions prepare;
    std::string format = "bytes", newline = "keep", order, input, valid, test, out;
    std::vector<double> split = {0.9, 0.05, 0.05};
  };
  CLI::App* command = app.add_subcommand("prepare", "turn a text into a corpus, once");
  auto options = std::make_shared<Options>();
  add_text(*command, "input", options->input, "FILE", "the text")->required();
  add_text(*command, "out", options->out, "DIR", "folder of the corpus")->required();
  add_text(*command, "format", options->format, "bytes|enwik8|text8|words",
           "bytes: every byte a token, all 256; enwik8: those of the text, lines end with a token; "
           "text8: one "
           "such token at the end of each part; words: white-space separated");
  add_text(*command, "newline", options->newline, "keep|drop",
           "enwik8, text8: drop reads them as Transformer-XL does: no ends of lines, nor of the "
           "text; ids by --order falling_count_of_all. Results do not compare with those of keep");
  add_text(*command, "valid", options->valid, "FILE",
           "the validation text, if it is a file of its own");
  add_text(*command, "test", options->test, "FILE", "the test text, if it is a file of its own");
  command->add_option("--split", options->split, "shares of training, validation and test text")
      ->type_name("NUMBER")
      ->delimiter(',')
      ->expected(3)
      ->default_str("0.9,0.05,0.05");
  add_text(*command, "order", options->order, "first_seen|falling_count|falling_count_of_all",
           "of ids: as tokens come in the training part (the default), or by how often they do, in "
           "it (as --adapt-io needs them) or in all parts");
  command
      ->add_option("--unk", options->prepare.minimum_count,
                   "words: <unk> stands for those that the training part has fewer times, and for "
                   "those that it has not")
      ->type_name("INTEGER");
  add_output(*command, options->output);
  add_examples(
      *command,
      {"adaspan prepare --input my.txt --out data/my",
       "adaspan prepare --input my.txt --out data/my --split 0.8,0.1,0.1",
       "adaspan prepare --format enwik8 --newline drop --input enwik8 --out data/enwik8-drop",
       "adaspan prepare --format words --order falling_count --input train.txt --valid valid.txt "
       "--test test.txt "
       "--out data/words"});
  command->callback([options] {
    PrepareOptions& p = options->prepare;
    p.format = text_format(options->format);
    p.newline = newline_of(options->newline);
    if (!options->order.empty()) p.order = vocabulary_order(options->order);
    p.input = options->input;
    p.valid = options->valid;
    p.test = options->test;
    p.out = options->out;
    std::copy(options->split.begin(), options->split.end(), p.split.begin());
    print_report(options->output, options->out, prepare_with_progress(options->output, p), p);
  });
}

}  // namespace adaspan::cli
