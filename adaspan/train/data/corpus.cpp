// SPDX-License-Identifier: MIT
#include "adaspan/train/data/corpus.h"

#include <fmt/format.h>

#include <system_error>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"

namespace adaspan {
namespace {

/// Throws unless each text that is still there is the one that was prepared.
void check_sources(const CorpusRecord& record, const std::filesystem::path& folder) {
  for (const SourceRecord& then : record.sources) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(then.path, ignored)) continue;
    const SourceRecord now = describe_source(then.path);
    if (now.bytes == then.bytes && now.modified == then.modified) continue;
    require(
        now.bytes == then.bytes && sha256(MappedFile(then.path).bytes()) == then.sha256,
        "[corpus] expected the text that {} was prepared from; got a changed {}; run `{}` again",
        folder.string(), then.path.string(), record.command(folder));
  }
}

/// Throws unless the file is there, byte for byte as it was written.
void check_file(const std::filesystem::path& path, const std::string& hash,
                const CorpusRecord& record) {
  std::error_code ignored;
  const bool there = std::filesystem::is_regular_file(path, ignored);
  require(there && sha256(MappedFile(path).bytes()) == hash,
          "[corpus] expected {} as it was prepared; got {}; run `{}` again", path.string(),
          there ? "a damaged one" : "no such file", record.command(path.parent_path()));
}

}  // namespace

std::filesystem::path vocabulary_path(const std::filesystem::path& folder) {
  return folder / "vocab.txt";
}

std::filesystem::path token_path(const std::filesystem::path& folder, Part part) {
  return folder / fmt::format("{}.tok", name(part));
}

Corpus Corpus::open(const std::filesystem::path& folder) {
  CorpusRecord record = read_corpus_record(folder);
  check_sources(record, folder);
  check_file(vocabulary_path(folder), record.vocabulary_hash, record);
  Vocabulary vocabulary = Vocabulary::parse(read_text(vocabulary_path(folder)));
  const auto check_count = [&](const char* what, int64_t expected, int64_t got) {
    require(expected == got, "[corpus] expected {} {} tokens, as {} says; got {}; run `{}` again",
            expected, what, corpus_record_path(folder).string(), got, record.command(folder));
  };
  check_count("vocabulary", record.vocabulary_size, vocabulary.size());
  const auto open_part = [&](Part part) {
    const PartRecord& expected = record.parts[static_cast<size_t>(part)];
    check_file(token_path(folder, part), expected.sha256, record);
    TokenFile ids(token_path(folder, part), vocabulary.size());
    check_count(name(part), expected.tokens, ids.size());
    return ids;
  };
  std::array parts{open_part(Part::train), open_part(Part::valid), open_part(Part::test)};
  return Corpus(std::move(record), std::move(vocabulary), std::move(parts));
}

DataIdentity Corpus::identity() const {
  std::array<std::string, 3> hashes;
  for (size_t p = 0; p < kParts.size(); ++p) hashes[p] = record_.parts[p].sha256;
  return {vocabulary_.size(), vocabulary_hash(), text_hash(), std::move(hashes)};
}

}  // namespace adaspan
