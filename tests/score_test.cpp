// SPDX-License-Identifier: MIT
#include "adaspan/train/run/score.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

#include "adaspan/core/file.h"
#include "adaspan/train/data/prepare.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Approx;

/// A corpus of three equal texts.
struct Prepared {
  Prepared(const Reading& reading, const std::string& text) {
    PrepareOptions options;
    options.format = reading.format;
    options.newline = reading.newline;
    atomic_write(options.input = folder / "train", text);
    atomic_write(options.valid = folder / "valid", text);
    atomic_write(options.test = folder / "test", text);
    options.out = folder / "corpus";
    prepare_corpus(options);
  }
  Corpus corpus() const { return Corpus::open(folder / "corpus"); }

  /// Of all tokens but the first: the i-th costs i nats.
  Score score(bool with_last = true) const {
    const Corpus opened = corpus();
    const TokenFile& file = opened.part(Part::test);
    const int64_t n = file.size() - (with_last ? 1 : 2);
    std::vector<int32_t> ids(static_cast<size_t>(n + 1));
    file.read(0, n + 1, ids.data());
    ScoreKeeper keeper(opened, Part::test);
    for (size_t i = 1; i < ids.size(); ++i) {
      keeper.add(ids[i - 1], ids[i], static_cast<double>(i));
    }
    return keeper.score(with_last);
  }

  TemporaryFolder folder;
};

TEST_CASE("words: a perplexity per token, without ends of lines, and per word; bits per byte") {
  const Prepared prepared({TextFormat::words}, " the cat \n sat \n");  // 5 tokens, 16 bytes
  const Score found = prepared.score();
  CHECK(found.tokens == 4);  // cat <eol> sat <eol>: 1 + 2 + 3 + 4 nats
  CHECK(found.line_ends == 2);
  CHECK(found.nats == 10);
  CHECK(found.line_end_nats == 6);
  CHECK(found.perplexity() == Approx(std::exp(10.0 / 4)));
  CHECK(*found.perplexity_without_line_ends() == Approx(std::exp(4.0 / 2)));
  CHECK(*found.words == 2);
  CHECK(*found.perplexity_per_word() == Approx(std::exp(10.0 / 2)));
  // Each word weighs a byte more than it has, each end of a line 1: 10 of 14.
  CHECK(*found.bytes == Approx(16 * 10.0 / 14));
  CHECK(*found.bits_per_byte() == Approx(10 / (std::numbers::ln2 * *found.bytes)));
}

TEST_CASE("bytes: words begin after white space, and every token is a byte") {
  const Score found = Prepared({TextFormat::bytes}, "ab c\nde \n").score();
  CHECK(found.tokens == 8);
  CHECK(*found.bytes == 8);
  CHECK(*found.words == 2);  // c and de: of ab, the first byte was not scored
  CHECK(*found.bits_per_byte() == Approx(found.nats / (8 * std::numbers::ln2)));
  CHECK_FALSE(found.perplexity_without_line_ends().has_value());
}

TEST_CASE("characters are as many as the bytes that begin one") {
  const Score found = Prepared({TextFormat::enwik8}, "a\xc3\xa4 \xe2\x82\xac").score();
  CHECK(*found.bytes == 6);
  CHECK(*found.characters == 3);  // without the a, and the end of the line that was added
  CHECK(*found.bits_per_character() == Approx(found.nats / (3 * std::numbers::ln2)));
  CHECK_FALSE(Prepared({TextFormat::words}, "the cat").score().characters.has_value());
  CHECK_FALSE(Prepared({TextFormat::enwik8, Newline::drop}, "ab c").score().characters.has_value());
}

TEST_CASE("an end of a line that was added after the text is no byte of it") {
  CHECK(*Prepared({TextFormat::enwik8}, "a\nbc").score().bytes == 3);
  CHECK(Prepared({TextFormat::enwik8}, "a\nbc").score().tokens == 4);
  CHECK(*Prepared({TextFormat::enwik8}, "a\nbc").score(/*with_last=*/false).bytes == 3);
  CHECK(*Prepared({TextFormat::enwik8}, "a\nbc\n").score().bytes == 4);
  CHECK(*Prepared({TextFormat::text8}, "a bc").score().bytes == 3);
}

TEST_CASE("where newlines were dropped nothing is told per word or byte") {
  const Score found = Prepared({TextFormat::enwik8, Newline::drop}, "ab c\nde \n").score();
  CHECK(found.tokens == 6);
  CHECK_FALSE(found.bytes.has_value());
  CHECK_FALSE(found.bits_per_byte().has_value());
  CHECK_FALSE(found.perplexity_per_word().has_value());
  CHECK_FALSE(found.perplexity_without_line_ends().has_value());
}

TEST_CASE("a record without the parts' bytes tells those of a text in three files alone") {
  const Prepared prepared({TextFormat::words}, "the cat\nsat\n");
  const double before = *prepared.score().bytes;
  const auto path = corpus_record_path(prepared.folder / "corpus");
  auto record = nlohmann::ordered_json::parse(read_text(path));
  for (auto& part : record["parts"]) part.erase("bytes");
  atomic_write(path, record.dump());
  CHECK(*prepared.score().bytes == before);
  record["sources"].erase(1);
  record["sources"].erase(1);
  record["split"] = {0.8, 0.1, 0.1};
  atomic_write(path, record.dump());
  CHECK_FALSE(prepared.score().bytes.has_value());
}

}  // namespace
}  // namespace adaspan
