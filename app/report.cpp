// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "adaspan/core/file.h"
#include "adaspan/models/generate.h"
#include "adaspan/ops/span_mask.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/evaluate.h"

namespace adaspan {
namespace {

constexpr int64_t kSampleLength = 300;

/// `text` as one word of a shell's command line.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

/// Bytes that `command` (a compressor from standard input to standard output) makes of `text`; 0 if
/// it is not installed.
size_t compressed_size(const std::string& command, const std::filesystem::path& text) {
  const std::string line =
      fmt::format("{} -c < {} 2>/dev/null | wc -c", command, quoted(text.string()));
  std::FILE* pipe = ::popen(line.c_str(), "r");
  if (!pipe) return 0;
  size_t bytes = 0;
  if (std::fscanf(pipe, "%zu", &bytes) != 1) bytes = 0;
  ::pclose(pipe);
  return bytes;
}

std::string decode_all(const Corpus& corpus, Part part) {
  const TokenFile& file = corpus.part(part);
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.read(0, file.size(), ids.data());
  return corpus.vocabulary().decode(ids, corpus.format());
}

/// A line for each compressor: bits a character of the test text.
void print_yardsticks(const std::string& text, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "test-text.tmp";
  atomic_write(file, text);
  for (const char* command : {"gzip -9", "bzip2 -9", "xz -9"}) {
    const size_t bytes = compressed_size(command, file);
    if (bytes == 0) {
      fmt::print("  {:<10} not installed\n", command);
    } else {
      fmt::print("  {:<10} {:.3f}\n", command,
                 8 * static_cast<double>(bytes) / static_cast<double>(text.size()));
    }
  }
  std::filesystem::remove(file);
}

}  // namespace

std::string span_table(const std::vector<std::vector<float>>& spans, int64_t ramp,
                       int64_t span_limit) {
  std::string table = "  layer";
  for (size_t h = 0; h < (spans.empty() ? 0 : spans[0].size()); ++h) {
    table += fmt::format("  head {:<2}", h);
  }
  table += "\n";
  for (size_t l = 0; l < spans.size(); ++l) {
    table += fmt::format("  {:>5}", l);
    for (float z : spans[l]) {
      table += fmt::format("  {:>7}", span_reach(z, ramp, span_limit));
    }
    table += "\n";
  }
  return table;
}

void print_report(const std::filesystem::path& checkpoint, const std::string& data) {
  const LoadedModel loaded = load_model(checkpoint);
  if (!loaded.note.empty()) fmt::print("{}\n", loaded.note);
  const Settings& settings = loaded.header.settings;
  const Corpus corpus = open_corpus(loaded.header, data);
  fmt::print("evaluating {} tokens of test text ...\n", corpus.part(Part::test).size());
  std::fflush(stdout);
  const Evaluation test = evaluate(*loaded.model, TokenStream::of(corpus, Part::test),
                                   kEvaluationBatch, settings.block_sz);

  fmt::print("\n{} of the test text ({} tokens), after {} steps:\n", settings.data_unit,
             test.tokens, loaded.header.progress.step);
  fmt::print("  {:<10} {:.3f}\n", "adaspan", in_unit(test.loss, settings.data_unit));
  if (settings.data_unit == "bpc") {
    const std::filesystem::path folder = checkpoint.parent_path();
    print_yardsticks(decode_all(corpus, Part::test), folder);
  }
  fmt::print("\nHow far each head looks back, in tokens (at least {}, at most {}):\n{}",
             std::min(settings.adapt_span_ramp, settings.attn_span), settings.attn_span,
             span_table(test.spans, settings.adapt_span_ramp, settings.attn_span));

  const std::vector<int32_t> ids =
      generate(*loaded.model, {corpus.part(Part::test)[0]}, {.length = kSampleLength, .seed = 1});
  fmt::print("\nWhat it writes ({} tokens):\n{}\n", kSampleLength,
             corpus.vocabulary().decode(ids, corpus.format()));
  fmt::print("\ncheckpoint  {}\nlog         {}\n", checkpoint.string(),
             (checkpoint.parent_path() / "metrics.jsonl").string());
}

}  // namespace adaspan
