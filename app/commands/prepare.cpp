// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "app/commands/commands.h"

namespace adaspan::cli {
namespace {

/// Tells on stderr how far a long preparation is: on a terminal one line that is written over,
/// elsewhere a plain line every ten seconds.
class PrepareProgress {
 public:
  ~PrepareProgress() {
    if (line_open_) fmt::print(stderr, "\r\033[K");
  }

  void operator()(uint64_t done, uint64_t total) {
    const auto now = Clock::now();
    const std::chrono::duration<double> since = now - shown_, all = now - start_;
    // On a terminal, too, what takes no second passes without a word.
    if (since.count() < (!terminal_ ? 10.0 : line_open_ ? 0.2 : 1.0)) return;
    shown_ = now;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    const auto left = static_cast<int64_t>(all.count() * (1 - part) / part + 0.5);
    fmt::print(stderr, "{}prepared {:.0f}% of {:.0f} MB  {}:{:02} left{}", terminal_ ? "\r" : "",
               100 * part, static_cast<double>(total) / 1e6, left / 60, left % 60,
               terminal_ ? "\033[K" : "\n");
    std::fflush(stderr);
    line_open_ = terminal_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool line_open_ = false;
  Clock::time_point start_ = Clock::now(), shown_ = start_;
};

PrepareReport prepare_with_progress(PrepareOptions options) {
  PrepareProgress progress;
  options.progress = [&](uint64_t done, uint64_t total) { progress(done, total); };
  return prepare_corpus(options);
}

void print_report(const std::string& out, const PrepareReport& report, bool with_unknown) {
  const auto& [train, valid, test] = report.tokens;
  fmt::print("{}: {} tokens of {} kinds (train {}, valid {}, test {}){}\n", out,
             train + valid + test, report.vocabulary_size, train, valid, test,
             report.up_to_date ? "; was up to date" : "");
  if (report.lacks_bytes) {
    fmt::print(
        "note: {} has the older vocabulary of {} bytes, which runs may depend on; another --out "
        "folder gets all 256\n",
        out, report.vocabulary_size);
  }
  const int64_t unknown = report.unknown[0] + report.unknown[1] + report.unknown[2];
  if (with_unknown) {
    fmt::print("note: {} tokens are <unk> (train {}, valid {}, test {})\n", unknown,
               report.unknown[0], report.unknown[1], report.unknown[2]);
  }
  const int64_t unseen = report.new_tokens[1] + report.new_tokens[2];
  if (unseen > 0) {
    fmt::print("note: {} of token {} not in the training part; no model learns {}\n",
               unseen == 1 ? "1 kind" : fmt::format("{} kinds", unseen), unseen == 1 ? "is" : "are",
               unseen == 1 ? "it" : "them");
  }
}

}  // namespace

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
          "bytes: every byte a token, all 256; enwik8: those of the text, lines end with a token; "
          "text8: one such token at the end of each part; words: white-space separated")
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
  command
      ->add_option("--unk", options->prepare.minimum_count,
                   "words: <unk> stands for those that the training part has fewer times, and for "
                   "those that it has not")
      ->type_name("MIN_COUNT");
  command->callback([options] {
    PrepareOptions& p = options->prepare;
    p.format = text_format(options->format);
    p.order = vocabulary_order(options->order);
    p.input = options->input;
    p.valid = options->valid;
    p.test = options->test;
    p.out = options->out;
    std::copy(options->split.begin(), options->split.end(), p.split.begin());
    print_report(options->out, prepare_with_progress(p), p.minimum_count.has_value());
  });
}

}  // namespace adaspan::cli
