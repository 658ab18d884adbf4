// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <system_error>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/train/data/corpus.h"

namespace adaspan {
namespace {

using Texts = std::array<std::string_view, 3>;
using Ids = std::array<std::vector<int32_t>, 3>;

void check(const PrepareOptions& options) {
  require(
      options.valid.empty() == options.test.empty(),
      "[prepare] expected both a valid and a test text, or neither; got only {}; give the other "
      "one too",
      options.valid.empty() ? options.test.string() : options.valid.string());
  if (!options.valid.empty()) return;
  const Split& split = options.split;
  const double sum = std::accumulate(split.begin(), split.end(), 0.0);
  require(
      std::all_of(split.begin(), split.end(), [](double f) { return f >= 0; }) &&
          std::abs(sum - 1) < 1e-6,
      "[prepare] expected prepare.split of three fractions that add to 1; got {}; use for example "
      "0.9,0.05,0.05",
      split_text(split));
}

MappedFile open_text(const SourceRecord& source) {
  require(source.bytes > 0,
          "[prepare] expected text in {}; got an empty file; give a file with text in it",
          source.path.string());
  return MappedFile(source.path);
}

/// The three parts of one text.
Texts cut(std::string_view text, const PrepareOptions& options) {
  const auto place = [&](double fraction) {
    // 0.7 + 0.1 is a little less than 0.8; a millionth of a byte makes up for it.
    const double exact = fraction * static_cast<double>(text.size()) + 1e-6;
    const size_t at = std::min(text.size(), static_cast<size_t>(exact));
    if (options.format != TextFormat::words || at == 0) return at;
    const size_t line_end = text.find('\n', at - 1);
    return line_end == std::string_view::npos ? text.size() : line_end + 1;
  };
  const size_t valid = place(options.split[0]);
  const size_t test = place(options.split[0] + options.split[1]);
  const Texts texts{text.substr(0, valid), text.substr(valid, test - valid), text.substr(test)};
  for (const Part part : kParts) {
    require(
        !texts[static_cast<size_t>(part)].empty(),
        "[prepare] expected text in each part; got an empty {} part of {} ({} bytes, split {}); "
        "use a longer text or another prepare.split",
        name(part), options.input.string(), text.size(), split_text(options.split));
  }
  return texts;
}

/// The ids of one part; tokens seen for the first time join the vocabulary.
std::vector<int32_t> encode_part(std::string_view text, TextFormat format, Vocabulary& vocabulary) {
  const auto add = [&](const Token& token) { return vocabulary.add(token); };
  if (format == TextFormat::text8) {
    // The published text8 models never saw the leading space: id 0 is the first letter.
    for_each_token(text.substr(std::min(text.find_first_not_of(' '), text.size())), format, add);
  }
  std::vector<int32_t> ids;
  ids.reserve(format == TextFormat::words ? text.size() / 5 : text.size() + 1);
  for_each_token(text, format, [&](const Token& token) { ids.push_back(add(token)); });
  if (ends_with_added_line(text, format)) ids.push_back(add(kEndOfLine));
  return ids;
}

/// Numbers the tokens of the training text anew, by falling count, and changes all ids to match.
Vocabulary sorted_by_count(const Vocabulary& old, int64_t in_training, Ids& ids) {
  std::vector<int64_t> counts(static_cast<size_t>(in_training));
  for (const int32_t id : ids[0]) ++counts[static_cast<size_t>(id)];
  std::vector<int32_t> order(static_cast<size_t>(old.size()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.begin() + in_training, [&](int32_t a, int32_t b) {
    const int64_t count_a = counts[static_cast<size_t>(a)];
    const int64_t count_b = counts[static_cast<size_t>(b)];
    return count_a != count_b ? count_a > count_b : a > b;
  });
  Vocabulary sorted;
  std::vector<int32_t> renamed(order.size());
  for (const int32_t id : order) renamed[static_cast<size_t>(id)] = sorted.add(old.token(id));
  for (auto& part : ids) {
    for (int32_t& id : part) id = renamed[static_cast<size_t>(id)];
  }
  return sorted;
}

/// A folder for files that are not complete yet; goes with what is left in it.
class StagingFolder {
 public:
  explicit StagingFolder(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    require(!error,
            "[prepare] expected to write in {}; got: {}; choose another folder for the corpus",
            path_.parent_path().string(), error.message());
  }
  ~StagingFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void move_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  require(!error, "[prepare] expected to replace {}; got: {}; remove it, or choose another folder",
          to.string(), error.message());
}

/// Writes all files beside the old ones, which are replaced when nothing can fail for want of
/// space.
void write_corpus(const std::filesystem::path& folder, const Vocabulary& vocabulary, const Ids& ids,
                  CorpusRecord& record) {
  const StagingFolder staging(folder / ".unfinished-corpus");
  atomic_write(vocabulary_path(staging.path()), vocabulary.file_text());
  for (const Part part : kParts) {
    const size_t p = static_cast<size_t>(part);
    const auto path = token_path(staging.path(), part);
    write_token_file(path, ids[p], vocabulary.size());
    record.parts[p].tokens = static_cast<int64_t>(ids[p].size());
    record.parts[p].sha256 = sha256(MappedFile(path).bytes());
  }
  record.vocabulary_size = vocabulary.size();
  record.vocabulary_hash = vocabulary.hash();
  write_corpus_record(staging.path(), record);
  move_file(vocabulary_path(staging.path()), vocabulary_path(folder));
  for (const Part part : kParts) {
    move_file(token_path(staging.path(), part), token_path(folder, part));
  }
  move_file(corpus_record_path(staging.path()), corpus_record_path(folder));
}

PrepareReport report(const CorpusRecord& record, bool up_to_date) {
  PrepareReport result{up_to_date, record.vocabulary_size, {}, {}};
  for (size_t p = 0; p < kParts.size(); ++p) {
    result.tokens[p] = record.parts[p].tokens;
    result.new_tokens[p] = record.parts[p].new_tokens;
  }
  return result;
}

/// The record of the corpus in `folder`, if it is whole and was made from the same text in the same
/// way as `wanted`.
std::optional<CorpusRecord> same_corpus(const std::filesystem::path& folder,
                                        const CorpusRecord& wanted) {
  try {
    const CorpusRecord old = Corpus::open(folder).record();
    if (old.format == wanted.format && old.order == wanted.order && old.split == wanted.split &&
        old.text_hash() == wanted.text_hash())
      return old;
  } catch (const Error&) {
    // No corpus, or one that must be made again.
  }
  return {};
}

}  // namespace

PrepareReport prepare_corpus(const PrepareOptions& options) {
  check(options);
  CorpusRecord record;
  record.format = options.format;
  record.order = options.order;
  std::vector<std::filesystem::path> paths{options.input};
  if (options.valid.empty())
    record.split = options.split;
  else
    paths.insert(paths.end(), {options.valid, options.test});
  std::vector<MappedFile> files;
  for (const auto& path : paths) {
    record.sources.push_back(describe_source(path));
    files.push_back(open_text(record.sources.back()));
    record.sources.back().sha256 = sha256(files.back().bytes());
  }
  if (const auto old = same_corpus(options.out, record)) return report(*old, true);

  const Texts texts = record.split ? cut(files[0].text(), options)
                                   : Texts{files[0].text(), files[1].text(), files[2].text()};
  Vocabulary vocabulary;
  Ids ids;
  for (size_t p = 0; p < kParts.size(); ++p) {
    const int64_t before = vocabulary.size();
    ids[p] = encode_part(texts[p], options.format, vocabulary);
    record.parts[p].new_tokens = vocabulary.size() - before;
  }
  if (options.order == VocabularyOrder::falling_count)
    vocabulary = sorted_by_count(vocabulary, record.parts[0].new_tokens, ids);
  write_corpus(options.out, vocabulary, ids, record);
  return report(record, false);
}

}  // namespace adaspan
