// SPDX-License-Identifier: MIT
#include "adaspan/train/data/corpus.h"

#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/train/data/prepare.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kText = "to be or\nnot to be\nthat is\n";

struct Prepared {
  Prepared() {
    atomic_write(text, kText);
    options.format = TextFormat::enwik8;
    options.input = text;
    options.out = out;
    prepare_corpus(options);
  }
  Corpus open() const { return Corpus::open(out); }
  /// Changes corpus.json by edit(json).
  template <class Edit>
  void edit_record(const Edit& edit) const {
    json record = json::parse(read_text(corpus_record_path(out)));
    edit(record);
    atomic_write(corpus_record_path(out), record.dump());
  }

  TemporaryFolder folder;
  fs::path text = folder / "text";
  fs::path out = folder / "corpus";
  PrepareOptions options;
};

std::string hash_of(std::string_view text) {
  return sha256(std::as_bytes(std::span(text)));
}

TEST_CASE("an opened corpus tells what it was made from") {
  const Prepared prepared;
  const Corpus corpus = prepared.open();
  CHECK(corpus.format() == TextFormat::enwik8);
  CHECK(corpus.text_hash() == hash_of(kText));
  CHECK(corpus.vocabulary_hash() == corpus.vocabulary().hash());
  CHECK(corpus.vocabulary_hash() == hash_of(read_text(prepared.out / "vocab.txt")));
  const CorpusRecord& record = corpus.record();
  CHECK(record.split == Split{0.9, 0.05, 0.05});
  CHECK(record.order == VocabularyOrder::first_seen);
  REQUIRE(record.sources.size() == 1);
  CHECK(record.sources[0].path == prepared.text);
  CHECK(record.sources[0].bytes == kText.size());
}

TEST_CASE("the identity of a corpus tells its parts, which another split changes") {
  Prepared prepared;
  const DataIdentity before = prepared.open().identity();
  for (const Part part : kParts) {
    const std::string file = read_text(token_path(prepared.out, part));
    CHECK(before.part_hashes[static_cast<size_t>(part)] == hash_of(file));
  }
  prepared.options.split = {0.5, 0.25, 0.25};
  prepare_corpus(prepared.options);
  const DataIdentity after = prepared.open().identity();
  CHECK(after.text_hash == before.text_hash);
  CHECK(after.part_hashes != before.part_hashes);
}

TEST_CASE("an opened corpus can be moved") {
  const Prepared prepared;
  Corpus corpus = prepared.open();
  const Corpus moved = std::move(corpus);
  CHECK(moved.vocabulary().text(moved.part(Part::train)[0]) == "t");
}

TEST_CASE("corpora of another text have another text hash, split into files or not") {
  const TemporaryFolder folder;
  PrepareOptions options;
  options.input = folder / "train";
  options.valid = folder / "valid";
  options.test = folder / "test";
  options.out = folder / "corpus";
  atomic_write(options.input, "ab");
  atomic_write(options.valid, "cd");
  atomic_write(options.test, "ef");
  prepare_corpus(options);
  const std::string before = Corpus::open(options.out).text_hash();
  atomic_write(options.test, "gh");
  prepare_corpus(options);
  CHECK(Corpus::open(options.out).text_hash() != before);
}

TEST_CASE("a folder without a corpus is refused with the command that makes one") {
  const TemporaryFolder folder;
  const std::string expected =
      "got no corpus.json there; run `adaspan prepare --format "
      "bytes|enwik8|text8|words --input FILE --out " +
      folder.path().string() + "`";
  CHECK_THROWS_WITH_AS(Corpus::open(folder.path()), Contains(expected.c_str()), Error);
  CHECK_THROWS_WITH_AS(Corpus::open(folder / "none"), Contains("got no corpus.json there"), Error);
}

TEST_CASE("a broken preparation is not taken for a whole one") {
  const Prepared prepared;
  fs::remove(corpus_record_path(prepared.out));
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("got no corpus.json there"), Error);
}

TEST_CASE("a record of another version is refused") {
  const Prepared prepared;
  prepared.edit_record([](json& record) { record["version"] = 2; });
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("expected version 1 in"), Error);
}

TEST_CASE("a damaged record is refused") {
  const Prepared prepared;
  SUBCASE("cut short") {
    const std::string record = read_text(corpus_record_path(prepared.out));
    atomic_write(corpus_record_path(prepared.out), record.substr(0, record.size() / 2));
  }
  SUBCASE("empty") {
    atomic_write(corpus_record_path(prepared.out), "");
  }
  SUBCASE("a field is missing") {
    prepared.edit_record([](json& record) { record["parts"].erase("valid"); });
  }
  SUBCASE("a field of another type") {
    prepared.edit_record([](json& record) { record["vocabulary"]["tokens"] = "many"; });
  }
  SUBCASE("a number that is not whole") {
    prepared.edit_record([](json& record) { record["vocabulary"]["tokens"] = 1e300; });
  }
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("expected a whole record in"), Error);
}

TEST_CASE("a record of an unknown order is refused") {
  const Prepared prepared;
  prepared.edit_record([](json& record) { record["order"] = "alphabet"; });
  CHECK_THROWS_WITH_AS(
      prepared.open(),
      Contains("order first_seen, falling_count or falling_count_of_all; got \"alpha"), Error);
}

TEST_CASE("newlines are kept where an older record does not tell, and else as it tells") {
  const Prepared prepared;
  CHECK(prepared.open().reading_text().starts_with("enwik8, newlines kept (V "));
  prepared.edit_record([](json& record) { record.erase("newline"); });
  CHECK(prepared.open().reading().newline == Newline::keep);
  prepared.edit_record([](json& record) { record["newline"] = "drop"; });
  CHECK(prepared.open().reading_text().starts_with("enwik8, newlines dropped (V "));
  prepared.edit_record([](json& record) { record["newline"] = "strip"; });
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("to be keep or drop; got \"strip\""), Error);
}

TEST_CASE("a record that counts otherwise than its files is refused") {
  const Prepared prepared;
  SUBCASE("a part") {
    prepared.edit_record([](json& r) { r["parts"]["test"]["tokens"] = 7; });
  }
  SUBCASE("the vocabulary") {
    prepared.edit_record([](json& r) { r["vocabulary"]["tokens"] = 7; });
  }
  CHECK_THROWS_WITH_AS(prepared.open(), Contains(" tokens, as "), Error);
}

TEST_CASE("a missing or damaged file is refused with the command that makes it again") {
  for (const char* file : {"vocab.txt", "train.tok", "valid.tok", "test.tok"}) {
    CAPTURE(file);
    const Prepared prepared;
    const std::string command = "run `adaspan prepare --format enwik8 --input " +
                                prepared.text.string() + " --split 0.9,0.05,0.05 --out " +
                                prepared.out.string() + "` again";
    const std::string whole = read_text(prepared.out / file);
    std::string flipped = whole;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    for (const std::string& damaged : {whole.substr(0, whole.size() - 1), whole + "x", flipped}) {
      atomic_write(prepared.out / file, damaged);
      CHECK_THROWS_WITH_AS(prepared.open(), Contains(("got a damaged one; " + command).c_str()),
                           Error);
    }
    fs::remove(prepared.out / file);
    CHECK_THROWS_WITH_AS(prepared.open(), Contains(("got no such file; " + command).c_str()),
                         Error);
  }
}

TEST_CASE("files of two preparations are not taken for one corpus") {
  const Prepared one;
  Prepared other;
  atomic_write(other.text, "to be or\nnot to be\nthat it\n");
  prepare_corpus(other.options);
  fs::copy(other.out / "test.tok", one.out, fs::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(one.open(), Contains("test.tok as it was prepared"), Error);
}

TEST_CASE("a text that changed since is refused with the command to run again") {
  const Prepared prepared;
  SUBCASE("another size") {
    atomic_write(prepared.text, std::string(kText) + "x");
  }
  SUBCASE("the same size") {
    std::string changed(kText);
    changed[0] = 'x';
    atomic_write(prepared.text, changed);
    fs::last_write_time(prepared.text, fs::file_time_type::clock::now() + std::chrono::hours(1));
  }
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("got a changed "), Error);
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("run `adaspan prepare --format enwik8"), Error);
  prepare_corpus(prepared.options);
  CHECK_NOTHROW(prepared.open());
}

TEST_CASE("a text that was only touched, or is gone, is no reason to prepare again") {
  const Prepared prepared;
  fs::last_write_time(prepared.text, fs::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK_NOTHROW(prepared.open());
  fs::remove(prepared.text);
  CHECK_NOTHROW(prepared.open());
}

TEST_CASE("the command names everything that the corpus was made with") {
  CorpusRecord record;
  record.format = TextFormat::words;
  record.order = VocabularyOrder::falling_count;
  record.sources = {{"/a", 0, 0, ""}, {"/b", 0, 0, ""}, {"/c", 0, 0, ""}};
  CHECK(record.command("d") ==
        "adaspan prepare --format words --order falling_count --input /a --valid /b --test /c "
        "--out d");
  record.minimum_count = 3;
  CHECK(record.command("d").ends_with(" --test /c --unk 3 --out d"));
}

TEST_CASE("a corpus that has <unk> for other words keeps that, and one without it is refused") {
  const Prepared prepared;
  prepared.edit_record([](json& record) { record["unk"] = 2; });
  CHECK(read_corpus_record(prepared.out).minimum_count == 2);
  CHECK_THROWS_WITH_AS(prepared.open(), Contains("vocab.txt as it was prepared; got one without"),
                       Error);
}

}  // namespace
}  // namespace adaspan
