// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/train/data/corpus.h"
#include "adaspan/train/data/encode_part.h"
#include "adaspan/train/data/source_text.h"
#include "adaspan/train/data/staging_folder.h"
#include "adaspan/train/data/token_counts.h"

namespace adaspan {
namespace {

void check(const PrepareOptions& options) {
  if (options.minimum_count) {
    require(options.format == TextFormat::words,
            "[prepare] expected prepare.unk with the format words alone; got {}; leave it out",
            name(options.format));
    require(*options.minimum_count >= 1, "[prepare] expected prepare.unk of at least 1; got {}",
            *options.minimum_count);
  }
  require(options.newline == Newline::keep || options.format == TextFormat::enwik8 ||
              options.format == TextFormat::text8,
          "[prepare] expected prepare.newline drop with the format enwik8 or text8; got {}; leave "
          "it out",
          name(options.format));
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

/// Whether a text is read twice: its tokens are counted before they get their numbers. The bytes'
/// own numbers are known.
bool counts_first(const CorpusRecord& record) {
  return record.format != TextFormat::bytes || record.order != VocabularyOrder::first_seen;
}

/// The texts as they are now, not yet read.
std::vector<SourceRecord> describe_sources(const PrepareOptions& options) {
  std::vector<std::filesystem::path> paths{options.input};
  if (!options.valid.empty()) paths.insert(paths.end(), {options.valid, options.test});
  std::vector<SourceRecord> sources;
  for (const auto& path : paths) {
    sources.push_back(describe_source(path));
    require(sources.back().bytes > 0,
            "[prepare] expected text in {}; got an empty file; give a file with text in it",
            sources.back().path.string());
  }
  return sources;
}

/// The three parts of one text.
PartsOfText cut(SourceText& text, const PrepareOptions& options) {
  const auto place = [&](double fraction) {
    // 0.7 + 0.1 is a little less than 0.8; a millionth of a byte makes up for it.
    const double exact = fraction * static_cast<double>(text.size()) + 1e-6;
    const uint64_t at = std::min(text.size(), static_cast<uint64_t>(exact));
    return options.format == TextFormat::words && at > 0 ? text.after_line(at - 1) : at;
  };
  const uint64_t valid = place(options.split[0]);
  const uint64_t test = place(options.split[0] + options.split[1]);
  const PartsOfText parts{PartOfText{&text, 0, valid}, PartOfText{&text, valid, test},
                          PartOfText{&text, test, text.size()}};
  for (const Part part : kParts) {
    require(
        parts[static_cast<size_t>(part)].size() > 0,
        "[prepare] expected text in each part; got an empty {} part of {} ({} bytes, split {}); "
        "use a longer text or another prepare.split",
        name(part), options.input.string(), text.size(), split_text(options.split));
  }
  return parts;
}

/// Throws unless each part has a token: one of newlines that are dropped has none.
void check_tokens(const std::array<int64_t, 3>& tokens, const CorpusRecord& record) {
  for (const Part part : kParts) {
    require(tokens[static_cast<size_t>(part)] > 0,
            "[prepare] expected more than newlines, which are dropped, in each part; got nothing "
            "else in the {} part of {}; use a longer text or prepare.newline keep",
            name(part), record.sources[0].path.string());
  }
}

/// Writes the ids of one part and records what it has. `seen` is 1 for ids that it or a part before
/// has.
void write_part(const std::filesystem::path& path, const PartOfText& text, int64_t tokens,
                const Reading& reading, const Vocabulary& vocabulary, std::vector<uint8_t>& seen,
                PartRecord& record) {
  record.tokens = tokens;
  record.bytes = static_cast<int64_t>(text.size());
  const int32_t unknown = vocabulary.unknown().value_or(-1);
  const auto write = [&](const IdSink& sink) {
    encode_part(text, reading, vocabulary, [&](std::span<const int32_t> ids) {
      for (const int32_t id : ids) {
        record.unknown += id == unknown;
        record.new_tokens += 1 - seen[static_cast<size_t>(id)];
        seen[static_cast<size_t>(id)] = 1;
      }
      sink(ids);
    });
  };
  record.sha256 = write_token_file(path, tokens, vocabulary.size(), write);
}

/// Writes all files beside the old ones, which are replaced when nothing can fail for want of
/// space.
void write_corpus(const PrepareOptions& options, std::vector<SourceText>& texts,
                  CorpusRecord& record) {
  const PartsOfText parts = record.split ? cut(texts[0], options)
                                         : PartsOfText{PartOfText{&texts[0], 0, texts[0].size()},
                                                       PartOfText{&texts[1], 0, texts[1].size()},
                                                       PartOfText{&texts[2], 0, texts[2].size()}};
  const StagingFolder staging(options.out);
  Vocabulary vocabulary;
  std::array<int64_t, 3> tokens;
  if (counts_first(record)) {
    TokenCounts counts = count_tokens(parts, record.reading());
    tokens = counts.tokens;
    check_tokens(tokens, record);
    vocabulary = number_tokens(std::move(counts), record.order, options.minimum_count);
  } else {
    vocabulary = Vocabulary::of_bytes();
    for (size_t p = 0; p < parts.size(); ++p) tokens[p] = static_cast<int64_t>(parts[p].size());
  }
  std::vector<uint8_t> seen(static_cast<size_t>(vocabulary.size()));
  for (const Part part : kParts) {
    const size_t p = static_cast<size_t>(part);
    write_part(token_path(staging.path(), part), parts[p], tokens[p], record.reading(), vocabulary,
               seen, record.parts[p]);
  }
  for (size_t i = 0; i < texts.size(); ++i) record.sources[i].sha256 = texts[i].sha256();
  atomic_write(vocabulary_path(staging.path()), vocabulary.file_text());
  record.vocabulary_size = vocabulary.size();
  record.vocabulary_hash = vocabulary.hash();
  write_corpus_record(staging.path(), record);
  staging.move_to(options.out);
}

PrepareReport report(const CorpusRecord& record, bool up_to_date) {
  PrepareReport result{.up_to_date = up_to_date,
                       .vocabulary_size = record.vocabulary_size,
                       .lacks_bytes = record.lacks_bytes()};
  for (size_t p = 0; p < kParts.size(); ++p) {
    result.tokens[p] = record.parts[p].tokens;
    result.new_tokens[p] = record.parts[p].new_tokens;
    result.unknown[p] = record.parts[p].unknown;
  }
  return result;
}

/// Whether the text that is described now is the one of then. It is read only when the description
/// leaves that open.
bool same_text(const SourceRecord& then, const SourceRecord& now) {
  if (now.bytes != then.bytes) return false;
  if (now.path == then.path && now.modified == then.modified) return true;
  return sha256(InputFile(now.path)) == then.sha256;
}

/// The record of the corpus in `folder`, if it is whole and was made from the same text in the same
/// way as `wanted`.
std::optional<CorpusRecord> same_corpus(const std::filesystem::path& folder,
                                        const CorpusRecord& wanted) {
  try {
    const CorpusRecord old = read_corpus_record(folder);
    if (old.format == wanted.format && old.newline == wanted.newline && old.order == wanted.order &&
        old.split == wanted.split && old.minimum_count == wanted.minimum_count &&
        std::equal(old.sources.begin(), old.sources.end(), wanted.sources.begin(),
                   wanted.sources.end(), same_text))
      return Corpus::open(folder).record();
  } catch (const Error&) {
    // No corpus, or one that must be made again.
  }
  return {};
}

/// Throws unless the corpus's files replace nothing but those of a corpus, and no text of its own.
void check_out(const PrepareOptions& options) {
  const std::filesystem::path& out = options.out;
  std::vector<std::filesystem::path> files{corpus_record_path(out), vocabulary_path(out)};
  for (const Part part : kParts) files.push_back(token_path(out, part));
  std::error_code ignored;
  bool corpus = std::filesystem::exists(corpus_record_path(out), ignored);
  for (const Part part : kParts) {  // without its record, of a preparation that was ended
    corpus = corpus || is_token_file(token_path(out, part));
  }
  for (const auto& file : files) {
    for (const auto& text : {options.input, options.valid, options.test}) {
      require(text.empty() || !std::filesystem::equivalent(text, file, ignored),
              "[prepare] expected a text that is no file of the corpus; got {}, which would be "
              "overwritten; choose another folder for the corpus",
              text.string());
    }
    require(corpus || !std::filesystem::exists(file, ignored),
            "[prepare] expected a folder with no {} of something else; got one in {}, which has no "
            "corpus; move it or choose another folder",
            file.filename().string(), out.string());
  }
}

}  // namespace

PrepareReport prepare_corpus(const PrepareOptions& options) {
  check(options);
  check_out(options);
  CorpusRecord record;
  record.format = options.format;
  record.newline = options.newline;
  record.order = options.order.value_or(usual_order(options.newline));
  record.minimum_count = options.minimum_count;
  if (options.valid.empty()) record.split = options.split;
  record.sources = describe_sources(options);
  if (const auto old = same_corpus(options.out, record)) return report(*old, true);

  uint64_t done = 0, total = 0;
  for (const SourceRecord& source : record.sources) {
    total += (counts_first(record) ? 2 : 1) * source.bytes;
  }
  std::vector<SourceText> texts;
  for (const SourceRecord& source : record.sources) {
    texts.emplace_back(source.path, [&](uint64_t bytes) {
      done += bytes;
      if (options.progress) options.progress(done, total);
    });
  }
  write_corpus(options, texts, record);
  return report(record, false);
}

}  // namespace adaspan
