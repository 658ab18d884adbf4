// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prepare.h"

#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/train/data/corpus.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Strings = std::vector<std::string>;
using Counts = std::array<int64_t, 3>;
namespace fs = std::filesystem;

constexpr Split kThirds{1.0 / 3, 1.0 / 3, 1.0 / 3};

/// A text file and the options that prepare it.
struct Job {
  Job(TextFormat format, std::string_view text, Split split = kThirds) {
    atomic_write(folder / "text", text);
    options.format = format;
    options.input = folder / "text";
    options.out = folder / "corpus";
    options.split = split;
  }
  /// Three files in place of one.
  Job(TextFormat format, std::string_view train, std::string_view valid, std::string_view test)
      : Job(format, train) {
    atomic_write(options.valid = folder / "valid", valid);
    atomic_write(options.test = folder / "test", test);
  }
  PrepareReport run() const { return prepare_corpus(options); }
  Corpus corpus() const { return Corpus::open(options.out); }

  TemporaryFolder folder;
  PrepareOptions options;
};

/// The tokens of a part, the end of a line written <eol>.
Strings tokens(const Corpus& corpus, Part part) {
  Strings result;
  for (int64_t i = 0; i < corpus.part(part).size(); ++i) {
    const Token token = corpus.vocabulary().token(corpus.part(part)[i]);
    result.emplace_back(token.end_of_line ? "<eol>" : token.bytes);
  }
  return result;
}

int64_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST_CASE("bytes are cut by the split and nothing is added") {
  const Job job(TextFormat::bytes, "abcdefghij", {0.5, 0.3, 0.2});
  const PrepareReport report = job.run();
  CHECK_FALSE(report.up_to_date);
  CHECK(report.vocabulary_size == 256);
  CHECK(report.tokens == Counts{5, 3, 2});
  const Corpus corpus = job.corpus();
  CHECK(tokens(corpus, Part::train) == Strings{"a", "b", "c", "d", "e"});
  CHECK(tokens(corpus, Part::valid) == Strings{"f", "g", "h"});
  CHECK(tokens(corpus, Part::test) == Strings{"i", "j"});
}

TEST_CASE("parts are cut at the floor of the fraction, and rounding of a sum does not count") {
  CHECK(Job(TextFormat::bytes, std::string(19, 'a'), {0.9, 0.05, 0.05}).run().tokens ==
        Counts{17, 1, 1});
  // In floating point 0.7 + 0.1 is below 0.8.
  CHECK(Job(TextFormat::bytes, std::string(10, 'a'), {0.7, 0.1, 0.2}).run().tokens ==
        Counts{7, 1, 2});
}

TEST_CASE("enwik8 ends each part with one end of a line, its own or an added one") {
  const Job job(TextFormat::enwik8, "a\nbc\nde\n\n", kThirds);
  job.run();
  const Corpus corpus = job.corpus();
  CHECK(tokens(corpus, Part::train) == Strings{"a", "<eol>", "b", "<eol>"});
  CHECK(tokens(corpus, Part::valid) == Strings{"c", "<eol>", "d", "<eol>"});
  CHECK(tokens(corpus, Part::test) == Strings{"e", "<eol>", "<eol>"});
}

TEST_CASE("text8 ends each part with one end of a line") {
  const Job job(TextFormat::text8, "ab cab");
  const PrepareReport report = job.run();
  CHECK(report.vocabulary_size == 5);
  const Corpus corpus = job.corpus();
  CHECK(tokens(corpus, Part::train) == Strings{"a", "b", "<eol>"});
  CHECK(tokens(corpus, Part::valid) == Strings{" ", "c", "<eol>"});
  CHECK(tokens(corpus, Part::test) == Strings{"a", "b", "<eol>"});
}

TEST_CASE("the leading space of text8 is kept, but the first letter has id 0") {
  const Job job(TextFormat::text8, " an a an an", {0.5, 0.25, 0.25});
  job.run();
  const Corpus corpus = job.corpus();
  CHECK(corpus.vocabulary().file_text() == "a\nn\n\\x20\n<eol>\n");
  CHECK(tokens(corpus, Part::train) == Strings{" ", "a", "n", " ", "a", "<eol>"});
}

TEST_CASE("words are cut after the line that the split falls into") {
  const Job job(TextFormat::words, "a b\nc dd\ne f\ng\nh");
  job.run();
  const Corpus corpus = job.corpus();
  CHECK(tokens(corpus, Part::train) == Strings{"a", "b", "<eol>", "c", "dd", "<eol>"});
  CHECK(tokens(corpus, Part::valid) == Strings{"e", "f", "<eol>"});
  CHECK(tokens(corpus, Part::test) == Strings{"g", "<eol>", "h", "<eol>"});
}

TEST_CASE("words are cut where the split falls if that is after a line already") {
  const Job job(TextFormat::words, "a\nb\nc\n");
  CHECK(job.run().tokens == Counts{2, 2, 2});
}

TEST_CASE("tokens that the training part lacks come after its own and are counted") {
  const Job job(TextFormat::enwik8, "bbaabcdade", {0.5, 0.3, 0.2});
  const PrepareReport report = job.run();
  CHECK(report.new_tokens == Counts{3, 2, 1});
  CHECK(job.corpus().vocabulary().file_text() == "b\na\n<eol>\nc\nd\ne\n");
}

TEST_CASE("bytes have their own numbers, and those that the training part lacks are counted") {
  const Job job(TextFormat::bytes, "bbaabcdade", {0.5, 0.3, 0.2});
  CHECK(job.run().new_tokens == Counts{2, 2, 1});
  const Corpus corpus = job.corpus();
  CHECK(corpus.part(Part::valid)[0] == 'c');
  CHECK(corpus.vocabulary_hash() == Vocabulary::of_bytes().hash());
  CHECK_FALSE(job.run().lacks_bytes);
}

TEST_CASE("bytes by falling count are all there, too") {
  Job job(TextFormat::bytes, "bbbaacd\xff", {0.75, 0.125, 0.125});
  job.options.order = VocabularyOrder::falling_count;
  CHECK(job.run().new_tokens == Counts{3, 1, 1});
  const Corpus corpus = job.corpus();
  REQUIRE(corpus.vocabulary().size() == 256);
  CHECK(corpus.vocabulary().text(0) == "b");
  CHECK(corpus.vocabulary().text(1) == "a");
  CHECK(corpus.vocabulary().text(2) == "c");
  CHECK(tokens(corpus, Part::test) == Strings{"\xff"});
}

/// The files of a corpus but for its record, which also holds the texts.
Strings files(const Corpus& corpus, const fs::path& folder) {
  Strings result{corpus.vocabulary().file_text()};
  for (const Part part : kParts) result.push_back(read_text(token_path(folder, part)));
  return result;
}

TEST_CASE("rarer and unseen words are prepared as if <unk> stood for them") {
  for (const auto order : {VocabularyOrder::first_seen, VocabularyOrder::falling_count}) {
    CAPTURE(name(order));
    Job job(TextFormat::words, "x y z y\nz w w q\n", "v z\nv\n", "u <unk> x y\n");
    job.options.order = order;
    job.options.minimum_count = 2;
    const PrepareReport report = job.run();
    CHECK(report.unknown == Counts{2, 2, 3});
    Job written(TextFormat::words, "<unk> y z y\nz w w <unk>\n", "<unk> z\n<unk>\n",
                "<unk> <unk> <unk> y\n");
    written.options.order = order;
    CHECK(written.run().unknown == Counts{});
    CHECK(files(job.corpus(), job.options.out) == files(written.corpus(), written.options.out));
    CHECK(job.corpus().vocabulary().unknown() == job.corpus().vocabulary().find("<unk>"));
    CHECK_FALSE(written.corpus().vocabulary().unknown().has_value());
    const PrepareReport again = job.run();
    CHECK(again.up_to_date);
    CHECK(again.unknown == report.unknown);
  }
}

TEST_CASE("<unk> is in the vocabulary though no word needs it, and ends of lines never become it") {
  Job job(TextFormat::words, "a b", "a\n", "b\n");
  job.options.minimum_count = 1;
  const PrepareReport report = job.run();
  CHECK(report.unknown == Counts{});
  CHECK(job.corpus().vocabulary().file_text() == "a\nb\n<eol>\n<unk>\n");
}

TEST_CASE("a minimum count below 1, or of another format than words, is refused") {
  Job job(TextFormat::words, "a\n", "b\n", "c\n");
  job.options.minimum_count = 0;
  CHECK_THROWS_WITH_AS(job.run(), Contains("expected prepare.unk of at least 1; got 0"), Error);
  job.options.minimum_count = 2;
  job.options.format = TextFormat::enwik8;
  CHECK_THROWS_WITH_AS(job.run(), Contains("with the format words alone; got enwik8"), Error);
}

TEST_CASE("a text of many blocks is the same corpus, and progress ends with all of it") {
  std::string text;
  for (int i = 0; text.size() < 3 * kFileBlock; ++i) text += std::to_string(i * 7919) + "\n";
  for (const auto format :
       {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8, TextFormat::words}) {
    CAPTURE(name(format));
    Job job(format, text, {0.6, 0.2, 0.2});
    uint64_t last = 0, total = 0;
    job.options.progress = [&](uint64_t done, uint64_t all) {
      CHECK(done > last);
      last = done;
      total = all;
    };
    job.run();
    CHECK(last == total);
    CHECK(total == text.size() * (format == TextFormat::bytes ? 1 : 2));
    const Corpus corpus = job.corpus();
    std::string again;
    for (const Part part : kParts) {
      std::vector<int32_t> ids(static_cast<size_t>(corpus.part(part).size()));
      corpus.part(part).read(0, corpus.part(part).size(), ids.data());
      std::string piece = corpus.vocabulary().decode(ids, format);
      // A cut within a line has an end of a line of its own.
      if (text.compare(again.size(), piece.size(), piece) != 0) piece.pop_back();
      again += piece;
    }
    CHECK(again == text);
    CHECK(corpus.text_hash() == sha256(InputFile(job.options.input)));
  }
}

TEST_CASE("a text that changes while it is read is refused") {
  const auto check = [](TextFormat format, const std::function<void(const fs::path&)>& change) {
    CAPTURE(name(format));
    Job job(format, "some words\nof a text\nthat is\nchanged\n");
    fs::last_write_time(job.options.input, fs::file_time_type{});
    job.options.progress = [&](uint64_t, uint64_t) { change(job.options.input); };
    CHECK_THROWS_AS(job.run(), Error);
    CHECK(fs::is_empty(job.options.out));
  };
  for (const auto format : {TextFormat::bytes, TextFormat::words}) {
    check(format, [](const fs::path& text) { std::ofstream(text, std::ios::app) << "more\n"; });
    check(format, [](const fs::path& text) { fs::resize_file(text, 3); });
  }
}

TEST_CASE("a folder where another preparation is at work is refused and left alone") {
  const Job job(TextFormat::bytes, "abc");
  const fs::path staging = job.options.out / ".unfinished-corpus";
  fs::create_directories(staging);
  atomic_write(staging / "train.tok", "of the other one");
  {
    const FolderLock other(staging);
    CHECK_THROWS_WITH_AS(job.run(), Contains("another one is at work in it"), Error);
    CHECK(read_text(staging / "train.tok") == "of the other one");
  }
  CHECK_NOTHROW(job.run());
}

TEST_CASE("falling count sorts the training tokens, equal counts by last appearance first") {
  Job job(TextFormat::words, "x y z y\nz w w q\n", "v z\nv\n", "u v\n");
  job.options.order = VocabularyOrder::falling_count;
  const PrepareReport report = job.run();
  const Corpus corpus = job.corpus();
  CHECK(corpus.vocabulary().file_text() == "w\n<eol>\nz\ny\nq\nx\nv\nu\n");
  CHECK(report.new_tokens == Counts{6, 1, 1});
  CHECK(tokens(corpus, Part::train) ==
        Strings{"x", "y", "z", "y", "<eol>", "z", "w", "w", "q", "<eol>"});
  CHECK(tokens(corpus, Part::test) == Strings{"u", "v", "<eol>"});
}

/// As Transformer-XL's authors read a text.
struct DroppingJob : Job {
  DroppingJob(TextFormat format, std::string_view text, Split split = kThirds)
      : Job(format, text, split) {
    options.newline = Newline::drop;
  }
};

TEST_CASE("enwik8 without newlines: ids by count in all parts, equal counts as first seen") {
  const DroppingJob job(TextFormat::enwik8, "b\na \nb c\nc\ncc\n\n\n", {0.5, 0.25, 0.25});
  const PrepareReport report = job.run();
  CHECK(report.vocabulary_size == 4);
  CHECK(report.tokens == Counts{6, 2, 1});
  const Corpus corpus = job.corpus();
  CHECK(corpus.vocabulary().file_text() == "c\nb\n\\x20\na\n");
  CHECK_FALSE(corpus.vocabulary().end_of_line().has_value());
  CHECK(tokens(corpus, Part::train) == Strings{"b", "a", " ", "b", " ", "c"});
  CHECK(tokens(corpus, Part::valid) == Strings{"c", "c"});
  CHECK(tokens(corpus, Part::test) == Strings{"c"});
  CHECK(corpus.reading().newline == Newline::drop);
  CHECK(corpus.record().order == VocabularyOrder::falling_count_of_all);
  CHECK(corpus.identity().reading == "enwik8, newlines dropped");
}

TEST_CASE("text8 without newlines has no end of the text, and no white space at its ends") {
  const DroppingJob job(TextFormat::text8, " a b cab  a ");
  CHECK(job.run().tokens == Counts{3, 3, 1});
  const Corpus corpus = job.corpus();
  CHECK(corpus.vocabulary().file_text() == "a\nb\n\\x20\nc\n");
  CHECK(tokens(corpus, Part::train) == Strings{"a", " ", "b"});
}

TEST_CASE("an order that was asked for is that of a text without newlines, too") {
  DroppingJob job(TextFormat::enwik8, "bbba\nab\nab\nab\n");
  job.options.order = VocabularyOrder::first_seen;
  job.run();
  CHECK(job.corpus().record().command("out").find("--newline drop --order first_seen") !=
        std::string::npos);
  job.options.order.reset();
  CHECK_FALSE(job.run().up_to_date);
  CHECK(job.corpus().record().command("out").find("--newline drop --input") != std::string::npos);
}

TEST_CASE("falling count of all parts counts rare words as <unk>, too") {
  Job job(TextFormat::words, "a b\n", "c c\n", "c b\n");
  job.options.order = VocabularyOrder::falling_count_of_all;
  job.run();
  CHECK(job.corpus().vocabulary().file_text() == "<eol>\nc\nb\na\n");
  job.options.minimum_count = 1;
  job.run();
  CHECK(job.corpus().vocabulary().file_text() == "<eol>\n<unk>\nb\na\n");
}

TEST_CASE("newlines are dropped from enwik8 and text8 alone") {
  for (const auto format : {TextFormat::bytes, TextFormat::words}) {
    const DroppingJob job(format, "a\nb\nc\n");
    const std::string expected =
        std::string("with the format enwik8 or text8; got ") + name(format) + "; leave it out";
    CHECK_THROWS_WITH_AS(job.run(), Contains(expected.c_str()), Error);
    CHECK_FALSE(fs::exists(job.options.out));
  }
}

TEST_CASE("a part of newlines that are dropped is refused by its name") {
  const DroppingJob job(TextFormat::enwik8, "abc\n\n\nabc");
  CHECK_THROWS_WITH_AS(job.run(), Contains("got nothing else in the valid part of"), Error);
  CHECK(fs::is_empty(job.options.out));
}

TEST_CASE("a text in three files keeps its parts") {
  const Job job(TextFormat::words, "a b\n", "b\n", "c");
  CHECK(job.run().tokens == Counts{3, 2, 2});
  const Corpus corpus = job.corpus();
  CHECK(tokens(corpus, Part::valid) == Strings{"b", "<eol>"});
  CHECK(tokens(corpus, Part::test) == Strings{"c", "<eol>"});
  CHECK(corpus.record().sources.size() == 3);
  CHECK_FALSE(corpus.record().split.has_value());
}

TEST_CASE("text that is not UTF-8 comes back byte for byte") {
  std::string text;
  for (int i = 0; i < 1024; ++i) text += static_cast<char>(i * 7);
  const Job job(TextFormat::bytes, text, {0.5, 0.25, 0.25});
  job.run();
  const Corpus corpus = job.corpus();
  std::string again;
  for (const Part part : kParts) {
    std::vector<int32_t> ids(static_cast<size_t>(corpus.part(part).size()));
    corpus.part(part).read(0, corpus.part(part).size(), ids.data());
    again += corpus.vocabulary().decode(ids, corpus.format());
  }
  CHECK(again == text);
}

TEST_CASE("nothing is done again for the same text, format, split and order") {
  Job job(TextFormat::enwik8, "abcabcabc\n");
  const PrepareReport first = job.run();
  const auto path = token_path(job.options.out, Part::train);
  const auto written = fs::last_write_time(path);
  const PrepareReport second = job.run();
  CHECK(second.up_to_date);
  CHECK(second.vocabulary_size == first.vocabulary_size);
  CHECK(second.tokens == first.tokens);
  CHECK(second.new_tokens == first.new_tokens);
  CHECK(fs::last_write_time(path) == written);
  // The text may have moved.
  fs::rename(job.options.input, job.folder / "moved");
  job.options.input = job.folder / "moved";
  CHECK(job.run().up_to_date);
}

TEST_CASE("another text, format, split or order is prepared anew") {
  Job job(TextFormat::enwik8, "abcabcabc\n");
  job.run();
  SUBCASE("text") {
    atomic_write(job.options.input, "abcabcabd\n");
  }
  SUBCASE("text of another file") {
    job.options.input = job.folder / "other";
    atomic_write(job.options.input, "abcabcabd\n");
  }
  SUBCASE("format") {
    job.options.format = TextFormat::bytes;
  }
  SUBCASE("split") {
    job.options.split = {0.5, 0.25, 0.25};
  }
  SUBCASE("order") {
    job.options.order = VocabularyOrder::falling_count;
  }
  SUBCASE("newlines") {
    job.options.newline = Newline::drop;
    job.options.order = VocabularyOrder::first_seen;
  }
  SUBCASE("minimum count") {
    job.options.format = TextFormat::words;
    job.options.input = job.folder / "words";
    atomic_write(job.options.input, "a\nb\na\nb\n");
    job.run();
    job.options.minimum_count = 1;
  }
  SUBCASE("damage") {
    atomic_write(vocabulary_path(job.options.out), "a\n");
  }
  CHECK_FALSE(job.run().up_to_date);
  CHECK(job.run().up_to_date);
}

TEST_CASE("nothing but the corpus is left in the folder") {
  const Job job(TextFormat::bytes, "abc");
  job.run();
  CHECK(entries(job.options.out) == 5);
}

TEST_CASE("a text that cannot be read is refused") {
  Job job(TextFormat::bytes, "abc");
  SUBCASE("missing") {
    job.options.input = job.folder / "none";
    CHECK_THROWS_WITH_AS(job.run(), Contains("/none; got: No such file or directory; give"), Error);
  }
  SUBCASE("a folder") {
    job.options.input = job.folder.path();
    CHECK_THROWS_WITH_AS(job.run(), Contains("got: not a regular file; give"), Error);
  }
  SUBCASE("empty") {
    atomic_write(job.options.input, "");
    CHECK_THROWS_WITH_AS(job.run(), Contains("/text; got an empty file; give"), Error);
  }
  CHECK_FALSE(fs::exists(job.options.out));
}

TEST_CASE("a split with a negative part, or that does not add to 1, is refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Split split :
       {Split{1.1, -0.2, 0.1}, {0.9, 0.05, 0.04}, {90, 5, 5}, {nan, 0.5, 0.5}}) {
    CAPTURE(split_text(split));
    const Job job(TextFormat::bytes, "abc", split);
    CHECK_THROWS_WITH_AS(job.run(),
                         Contains(("add to 1; got " + split_text(split) + "; use").c_str()), Error);
  }
}

TEST_CASE("a part without text is refused by its name") {
  const auto check = [](const char* part, TextFormat format, const char* text, Split split) {
    CAPTURE(part);
    const std::string expected = std::string("got an empty ") + part + " part";
    CHECK_THROWS_WITH_AS(Job(format, text, split).run(), Contains(expected.c_str()), Error);
  };
  check("train", TextFormat::bytes, "abcd", {0, 0.5, 0.5});
  check("valid", TextFormat::bytes, "abcd", {0.9, 0.05, 0.05});
  check("test", TextFormat::bytes, "abcd", {0.5, 0.5, 0});
  check("valid", TextFormat::words, "one line of words", {0.4, 0.3, 0.3});
}

TEST_CASE("only one of the valid and test texts is refused") {
  Job job(TextFormat::words, "a\n", "b\n", "c\n");
  SUBCASE("no test") {
    job.options.test.clear();
  }
  SUBCASE("no valid") {
    job.options.valid.clear();
  }
  CHECK_THROWS_WITH_AS(job.run(), Contains("both a valid and a test text, or neither"), Error);
}

TEST_CASE("an empty valid text is refused") {
  const Job job(TextFormat::words, "a\n", "", "c\n");
  CHECK_THROWS_WITH_AS(job.run(), Contains("/valid; got an empty file"), Error);
}

TEST_CASE("files of something else are not replaced, and no text of the corpus's own") {
  Job job(TextFormat::bytes, "abcdefghijklmnopqrstuvwxyz");
  fs::create_directories(job.options.out);
  const fs::path mine = vocabulary_path(job.options.out);
  atomic_write(mine, "mine, and long enough to be cut into three parts");
  CHECK_THROWS_WITH_AS(job.run(), Contains("move it or choose another folder"), Error);
  CHECK(read_text(mine).starts_with("mine"));
  job.options.input = mine;
  CHECK_THROWS_WITH_AS(job.run(), Contains("which would be overwritten"), Error);
  CHECK(read_text(mine).starts_with("mine"));
  fs::remove(mine);
  job.options.input = job.folder / "text";
  job.run();
  fs::remove(corpus_record_path(job.options.out));  // as a preparation that was ended leaves it
  CHECK_NOTHROW(job.run());
  job.options.input = token_path(job.options.out, Part::train);
  CHECK_THROWS_WITH_AS(job.run(), Contains("which would be overwritten"), Error);
}

TEST_CASE("a folder that cannot be made is refused") {
  Job job(TextFormat::bytes, "abc");
  job.options.out = job.options.input / "corpus";
  CHECK_THROWS_WITH_AS(job.run(), Contains("choose another folder for the corpus"), Error);
}

TEST_CASE("a file that cannot be replaced is refused, and what was there stays") {
  const Job job(TextFormat::bytes, "abc");
  fs::create_directories(vocabulary_path(job.options.out) / "full");
  CHECK_THROWS_WITH_AS(job.run(), Contains("no vocab.txt of something else"), Error);
  CHECK(fs::exists(vocabulary_path(job.options.out) / "full"));
  CHECK_THROWS_WITH_AS(job.corpus(), Contains("got no corpus.json there"), Error);
}

TEST_CASE("a disk that fills up leaves the older corpus whole and nothing beside it") {
  Job job(TextFormat::bytes, "abc");
  job.run();
  const std::string before = job.corpus().text_hash();
  const fs::path second = job.folder / "second";
  // The first part of it fits, the second does not.
  atomic_write(second, std::string(300'000, 'a'));
  job.options.input = second;
  job.options.split = {0.1, 0.8, 0.1};
  {
    const FileSizeLimit limit(100'000);
    CHECK_THROWS_WITH_AS(job.run(), Contains("expected to write"), Error);
  }
  CHECK(job.corpus().text_hash() == before);
  CHECK(entries(job.options.out) == 5);
  CHECK_FALSE(job.run().up_to_date);
}

TEST_CASE("a folder where the new files would be written is refused if it is a file") {
  const Job job(TextFormat::bytes, "abc");
  fs::create_directory(job.options.out);
  atomic_write(job.options.out / ".unfinished-corpus", "");
  CHECK_THROWS_WITH_AS(job.run(), Contains("choose another folder for the corpus"), Error);
}

}  // namespace
}  // namespace adaspan
