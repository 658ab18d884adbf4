// SPDX-License-Identifier: MIT
#include "adaspan/train/data/corpus_record.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/core/whole_number.h"

namespace adaspan {
namespace {

using json = nlohmann::ordered_json;

// What was added since ("unk", "unknown", "newline", "bytes") may be missing, so that older corpora
// open.
constexpr int kVersion = 1;
constexpr const char* kCommand =
    "`adaspan prepare --format bytes|enwik8|text8|words --input FILE --out";

CorpusRecord from_json(const json& j) {
  CorpusRecord record;
  record.format = text_format(j.at("format").get<std::string>());
  if (j.contains("newline")) record.newline = newline_of(j.at("newline").get<std::string>());
  record.order = vocabulary_order(j.at("order").get<std::string>());
  for (const json& source : j.at("sources")) {
    record.sources.push_back(
        {source.at("path").get<std::string>(), static_cast<uint64_t>(whole_number(source, "bytes")),
         whole_number(source, "modified"), source.at("sha256").get<std::string>()});
  }
  const json& split = j.at("split");
  if (!split.is_null()) record.split = split.get<Split>();
  if (j.contains("unk")) record.minimum_count = whole_number(j, "unk");
  record.vocabulary_size = whole_number(j.at("vocabulary"), "tokens");
  record.vocabulary_hash = j.at("vocabulary").at("sha256").get<std::string>();
  for (size_t p = 0; p < kParts.size(); ++p) {
    const json& part = j.at("parts").at(name(kParts[p]));
    record.parts[p] = {whole_number(part, "tokens"), whole_number(part, "new_tokens"),
                       part.contains("unknown") ? whole_number(part, "unknown") : 0,
                       part.at("sha256").get<std::string>(),
                       part.contains("bytes") ? whole_number(part, "bytes") : 0};
  }
  return record;
}

}  // namespace

const char* name(Part part) {
  return part == Part::train ? "train" : part == Part::valid ? "valid" : "test";
}

const char* name(VocabularyOrder order) {
  switch (order) {
    case VocabularyOrder::first_seen:
      return "first_seen";
    case VocabularyOrder::falling_count:
      return "falling_count";
    case VocabularyOrder::falling_count_of_all:
      return "falling_count_of_all";
  }
  return "unknown";
}

VocabularyOrder vocabulary_order(std::string_view text) {
  for (VocabularyOrder order : {VocabularyOrder::first_seen, VocabularyOrder::falling_count,
                                VocabularyOrder::falling_count_of_all}) {
    if (text == name(order)) return order;
  }
  fail(
      "[prepare] expected the order first_seen, falling_count or falling_count_of_all; got \"{}\"; "
      "choose one",
      text);
}

VocabularyOrder usual_order(Newline newline) {
  return newline == Newline::drop ? VocabularyOrder::falling_count_of_all
                                  : VocabularyOrder::first_seen;
}

std::string split_text(const Split& split) {
  return fmt::format("{},{},{}", split[0], split[1], split[2]);
}

std::optional<int64_t> CorpusRecord::bytes_of(Part part) const {
  const auto p = static_cast<size_t>(part);
  if (parts[p].bytes > 0) return parts[p].bytes;
  if (sources.size() == kParts.size()) return static_cast<int64_t>(sources[p].bytes);
  return {};
}

std::string CorpusRecord::text_hash() const {
  if (sources.size() == 1) return sources[0].sha256;
  std::string hashes;
  for (const SourceRecord& source : sources) hashes += source.sha256;
  return sha256(std::as_bytes(std::span(hashes)));
}

std::string CorpusRecord::command(const std::filesystem::path& folder) const {
  static constexpr std::array kFlags{"--input", "--valid", "--test"};
  std::string text = fmt::format("adaspan prepare --format {}", name(format));
  if (newline != Newline::keep) text += fmt::format(" --newline {}", name(newline));
  if (order != usual_order(newline)) text += fmt::format(" --order {}", name(order));
  for (size_t i = 0; i < sources.size() && i < kFlags.size(); ++i) {
    text += fmt::format(" {} {}", kFlags[i], sources[i].path.string());
  }
  if (split) text += " --split " + split_text(*split);
  if (minimum_count) text += fmt::format(" --unk {}", *minimum_count);
  return text + fmt::format(" --out {}", folder.string());
}

SourceRecord describe_source(const std::filesystem::path& path) {
  using namespace std::chrono;
  std::error_code error;
  const auto time = std::filesystem::last_write_time(path, error);
  const std::string problem = error ? error.message() : "not a regular file";
  require(std::filesystem::is_regular_file(path, error),
          "[prepare] expected a file of text at {}; got: {}; give the path of one that exists",
          path.string(), problem);
  const auto since_1970 = file_clock::to_sys(time).time_since_epoch();
  return {std::filesystem::absolute(path).lexically_normal(), std::filesystem::file_size(path),
          duration_cast<nanoseconds>(since_1970).count(), ""};
}

std::filesystem::path corpus_record_path(const std::filesystem::path& folder) {
  return folder / "corpus.json";
}

CorpusRecord read_corpus_record(const std::filesystem::path& folder) {
  const std::filesystem::path path = corpus_record_path(folder);
  std::error_code ignored;
  require(std::filesystem::exists(path, ignored),
          "[corpus] expected a prepared corpus in {}; got no corpus.json there; run {} {}`",
          folder.string(), kCommand, folder.string());
  int64_t version = 0;
  CorpusRecord record;
  try {
    const json j = json::parse(read_text(path));
    version = whole_number(j, "version");
    if (version == kVersion) record = from_json(j);
  } catch (const std::exception& e) {
    fail("[corpus] expected a whole record in {}; got: {}; run {} {}`", path.string(), e.what(),
         kCommand, folder.string());
  }
  require(version == kVersion, "[corpus] expected version {} in {}; got {}; run {} {}`", kVersion,
          path.string(), version, kCommand, folder.string());
  return record;
}

void write_corpus_record(const std::filesystem::path& folder, const CorpusRecord& record) {
  json j{{"version", kVersion},
         {"format", name(record.format)},
         {"newline", name(record.newline)},
         {"order", name(record.order)},
         {"sources", json::array()},
         {"text_sha256", record.text_hash()},
         {"split", nullptr},
         {"vocabulary", {{"tokens", record.vocabulary_size}, {"sha256", record.vocabulary_hash}}}};
  for (const SourceRecord& source : record.sources) {
    j["sources"].push_back({{"path", source.path.string()},
                            {"bytes", source.bytes},
                            {"modified", source.modified},
                            {"sha256", source.sha256}});
  }
  if (record.split) j["split"] = *record.split;
  if (record.minimum_count) j["unk"] = *record.minimum_count;
  for (size_t p = 0; p < kParts.size(); ++p) {
    const PartRecord& part = record.parts[p];
    j["parts"][name(kParts[p])] = {{"tokens", part.tokens},
                                   {"new_tokens", part.new_tokens},
                                   {"sha256", part.sha256},
                                   {"bytes", part.bytes}};
    if (record.minimum_count) j["parts"][name(kParts[p])]["unknown"] = part.unknown;
  }
  // A path that is not UTF-8 is written with replacements: such a text is not checked for changes.
  const std::string text = j.dump(2, ' ', false, json::error_handler_t::replace);
  atomic_write(corpus_record_path(folder), text + "\n");
}

}  // namespace adaspan
