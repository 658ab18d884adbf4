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
        now.bytes == then.bytes && sha256(InputFile(then.path)) == then.sha256,
        "[corpus] expected the text that {} was prepared from; got a changed {}; run `{}` again",
        folder.string(), then.path.string(), record.command(folder));
  }
}

/// Throws that the file is not what was prepared, with the command that makes it again.
[[noreturn]] void fail_file(const std::filesystem::path& path, const char* got,
                            const CorpusRecord& record) {
  fail("[corpus] expected {} as it was prepared; got {}; run `{}` again", path.string(), got,
       record.command(path.parent_path()));
}

void check_there(const std::filesystem::path& path, const CorpusRecord& record) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) fail_file(path, "no such file", record);
}

Vocabulary open_vocabulary(const std::filesystem::path& folder, const CorpusRecord& record) {
  const auto path = vocabulary_path(folder);
  check_there(path, record);
  const std::string text = read_text(path);
  if (sha256(std::as_bytes(std::span(text))) != record.vocabulary_hash)
    fail_file(path, "a damaged one", record);
  Vocabulary vocabulary = Vocabulary::parse(text);
  if (record.minimum_count) {
    if (!vocabulary.find(kUnknown)) fail_file(path, "one without <unk>", record);
    vocabulary.add_unknown();
  }
  return vocabulary;
}

TokenFile open_part(const std::filesystem::path& folder, Part part, const CorpusRecord& record) {
  const auto path = token_path(folder, part);
  check_there(path, record);
  try {
    TokenFile ids(path, record.vocabulary_size);
    if (ids.sha256() == record.parts[static_cast<size_t>(part)].sha256) return ids;
  } catch (const DamagedFile&) {
    // Told below, with the whole command.
  }
  fail_file(path, "a damaged one", record);
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
  const auto check_count = [&](const char* what, int64_t expected, int64_t got) {
    require(expected == got, "[corpus] expected {} {} tokens, as {} says; got {}; run `{}` again",
            expected, what, corpus_record_path(folder).string(), got, record.command(folder));
  };
  Vocabulary vocabulary = open_vocabulary(folder, record);
  check_count("vocabulary", record.vocabulary_size, vocabulary.size());
  const auto open = [&](Part part) {
    TokenFile ids = open_part(folder, part, record);
    check_count(name(part), record.parts[static_cast<size_t>(part)].tokens, ids.size());
    return ids;
  };
  std::array parts{open(Part::train), open(Part::valid), open(Part::test)};
  return Corpus(std::move(record), std::move(vocabulary), std::move(parts));
}

std::string Corpus::reading_text() const {
  return fmt::format("{} (V {})", text_of(reading()), vocabulary_.size());
}

DataIdentity Corpus::identity() const {
  std::array<std::string, 3> hashes;
  for (size_t p = 0; p < kParts.size(); ++p) hashes[p] = record_.parts[p].sha256;
  return {vocabulary_.size(), vocabulary_hash(), text_hash(), std::move(hashes),
          text_of(record_.reading())};
}

}  // namespace adaspan
