// SPDX-License-Identifier: MIT
#include "app/report.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "adaspan/core/error.h"
#include "adaspan/models/decode/generate.h"
#include "adaspan/train/data/cluster_shares.h"

namespace adaspan {
namespace {

/// A text that other programs can read like a file, without a place on any disk.
class TextInMemory {
 public:
  explicit TextInMemory(std::string_view text) : fd_(::memfd_create("text", 0)) {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      require(written > 0 || errno == EINTR,
              "[report] expected memory for a copy of the test text; got: {}",
              std::strerror(errno));
      if (written > 0) text.remove_prefix(static_cast<size_t>(written));
    }
  }
  ~TextInMemory() { ::close(fd_); }
  TextInMemory(const TextInMemory&) = delete;
  TextInMemory& operator=(const TextInMemory&) = delete;

  /// Its name for programs that this one starts.
  std::string path() const { return fmt::format("/dev/fd/{}", fd_); }

 private:
  int fd_;
};

/// Bytes that `command` (a compressor from standard input to standard output) makes of `text`; 0 if
/// it is not installed.
size_t compressed_size(const std::string& command, const TextInMemory& text) {
  const std::string line = fmt::format("{} -c < {} 2>/dev/null | wc -c", command, text.path());
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

/// In bits per token, as the model's loss is.
std::vector<Yardstick> yardsticks(const std::string& text, int64_t tokens) {
  const TextInMemory file(text);
  std::vector<Yardstick> all;
  for (const char* command : {"gzip -9", "bzip2 -9", "xz -9"}) {
    const auto bytes = static_cast<double>(compressed_size(command, file));
    all.push_back({command, 8 * bytes / static_cast<double>(tokens)});
  }
  return all;
}

}  // namespace

Report report_on(const LoadedModel& loaded, const Corpus& corpus) {
  const ModelConfig& model = loaded.header.config.model;
  Report report{.test = evaluate_part(loaded, corpus, Part::test),
                .cost = {},
                .yardsticks = {},
                .sample = ""};
  report.cost =
      token_cost(model, report.test.mean_z, cluster_shares(model, corpus.part(Part::test)));
  if (loaded.header.config.run.data_unit == DataUnit::bpc) {
    report.yardsticks = yardsticks(decode_all(corpus, Part::test), corpus.part(Part::test).size());
  }
  const std::vector<int32_t> ids =
      generate(*loaded.model, {corpus.part(Part::test)[0]}, {.length = kSampleLength, .seed = 1});
  report.sample = corpus.vocabulary().decode(ids, corpus.format());
  return report;
}

}  // namespace adaspan
