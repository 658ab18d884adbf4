// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "adaspan/core/file.h"
#include "adaspan/models/generate.h"

namespace adaspan {
namespace {

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

std::vector<Yardstick> yardsticks(const std::string& text, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "test-text.tmp";
  atomic_write(file, text);
  std::vector<Yardstick> all;
  for (const char* command : {"gzip -9", "bzip2 -9", "xz -9"}) {
    const auto bytes = static_cast<double>(compressed_size(command, file));
    all.push_back({command, 8 * bytes / static_cast<double>(text.size())});
  }
  std::filesystem::remove(file);
  return all;
}

}  // namespace

Report report_on(const LoadedModel& loaded, const Corpus& corpus,
                 const std::filesystem::path& folder) {
  Report report{.test = evaluate_part(loaded, corpus, Part::test), .yardsticks = {}, .sample = ""};
  if (loaded.header.config.run.data_unit == DataUnit::bpc) {
    report.yardsticks = yardsticks(decode_all(corpus, Part::test), folder);
  }
  const std::vector<int32_t> ids =
      generate(*loaded.model, {corpus.part(Part::test)[0]}, {.length = kSampleLength, .seed = 1});
  report.sample = corpus.vocabulary().decode(ids, corpus.format());
  return report;
}

}  // namespace adaspan
