// SPDX-License-Identifier: MIT
// corpus.json: what a prepared corpus was made from and what it holds. It is written last, so a
// folder without it is no corpus.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <adaspan/train/data/newline.h>

namespace adaspan {

enum class Part { train, valid, test };
inline constexpr std::array kParts{Part::train, Part::valid, Part::test};

/// "train", "valid", "test"
const char* name(Part part);

/// How ids are given out: in the order in which the training part shows the tokens, or by falling
/// count in it (equal counts: last seen first), which the clusters of adaptive input and output
/// need. Tokens that only the valid part has follow, then those that only the test part has. Or by
/// falling count in all three parts (equal counts: first seen first). For bytes all 256 are there,
/// in the order of the bytes or by falling count.
enum class VocabularyOrder { first_seen, falling_count, falling_count_of_all };

/// "first_seen", "falling_count", "falling_count_of_all"
const char* name(VocabularyOrder order);
/// The order of that name. Throws Error when there is none.
VocabularyOrder vocabulary_order(std::string_view name);

/// What `newline` makes of ids where nothing else was asked for: by count of all parts where
/// newlines are dropped, as the systems number them that drop them; else as first seen.
VocabularyOrder usual_order(Newline newline);

/// The fraction of the text's bytes that each part gets.
using Split = std::array<double, 3>;
/// "0.9,0.05,0.05"
std::string split_text(const Split& split);

/// A text as it was when it was prepared.
struct SourceRecord {
  std::filesystem::path path;  ///< absolute
  uint64_t bytes = 0;
  int64_t modified = 0;  ///< nanoseconds since 1970
  std::string sha256;
};

struct PartRecord {
  int64_t tokens = 0;
  int64_t new_tokens = 0;  ///< of the vocabulary, seen in no part before this one
  int64_t unknown = 0;     ///< tokens that are <unk>, where that stands for other words
  std::string sha256;      ///< of the token file
  int64_t bytes = 0;       ///< of its text; 0 in records made before it was kept
};

struct CorpusRecord {
  TextFormat format = TextFormat::bytes;
  Newline newline = Newline::keep;
  VocabularyOrder order = VocabularyOrder::first_seen;
  std::vector<SourceRecord> sources;  ///< one text that was split, or one text per part
  std::optional<Split> split;
  /// Words that the training part has fewer times, and those that it has not, are <unk>; none
  /// where every word has an id of its own.
  std::optional<int64_t> minimum_count;
  int64_t vocabulary_size = 0;
  std::string vocabulary_hash;
  std::array<PartRecord, 3> parts;

  Reading reading() const { return {format, newline}; }
  /// Of the text of a part, if that is known.
  std::optional<int64_t> bytes_of(Part part) const;
  /// Tells whether two corpora have the same text: its SHA-256 (of several: that of their hashes).
  std::string text_hash() const;
  /// The command that prepares this corpus in `folder`.
  std::string command(const std::filesystem::path& folder) const;
  /// Whether it was made when the bytes' vocabulary had only those of the text.
  bool lacks_bytes() const { return format == TextFormat::bytes && vocabulary_size < 256; }
};

/// What is known of the file at `path` without reading it (no sha256). Throws Error when there is
/// no such file.
SourceRecord describe_source(const std::filesystem::path& path);

std::filesystem::path corpus_record_path(const std::filesystem::path& folder);
/// Throws Error when `folder` has no corpus.json, or one of another version, or a damaged one.
CorpusRecord read_corpus_record(const std::filesystem::path& folder);
void write_corpus_record(const std::filesystem::path& folder, const CorpusRecord& record);

}  // namespace adaspan
