// SPDX-License-Identifier: MIT
// A prepared corpus: a folder with the ids of each part, the vocabulary, and a record of the text
// they came from (corpus.json). prepare.h makes one.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include <adaspan/train/data/corpus_record.h>
#include <adaspan/train/data/data_identity.h>
#include <adaspan/train/data/token_file.h>
#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

class Corpus {
 public:
  /// Throws Error, with the command to run, when the folder has no corpus, one of another version,
  /// a missing or damaged file, or when the text it was made from is still there but has changed.
  /// A text that was moved away or deleted is no error.
  static Corpus open(const std::filesystem::path& folder);

  TextFormat format() const { return record_.format; }
  Reading reading() const { return record_.reading(); }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TokenFile& part(Part part) const { return parts_[static_cast<size_t>(part)]; }

  /// "enwik8, newlines dropped (V 204)": what its scores are of.
  std::string reading_text() const;

  /// Same text hash, same text; same vocabulary hash, same ids.
  std::string text_hash() const { return record_.text_hash(); }
  const std::string& vocabulary_hash() const { return record_.vocabulary_hash; }
  const CorpusRecord& record() const { return record_; }
  /// What a checkpoint keeps of it.
  DataIdentity identity() const;

 private:
  Corpus(CorpusRecord record, Vocabulary vocabulary, std::array<TokenFile, 3> parts)
      : record_(std::move(record)), vocabulary_(std::move(vocabulary)), parts_(std::move(parts)) {}

  CorpusRecord record_;
  Vocabulary vocabulary_;
  std::array<TokenFile, 3> parts_;
};

/// The files of a corpus.
std::filesystem::path vocabulary_path(const std::filesystem::path& folder);
std::filesystem::path token_path(const std::filesystem::path& folder, Part part);

}  // namespace adaspan
