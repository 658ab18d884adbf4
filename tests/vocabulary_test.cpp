// SPDX-License-Identifier: MIT
#include "adaspan/train/data/vocabulary.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/train/data/prompt.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Ids = std::vector<int32_t>;

constexpr TextFormat kFormats[] = {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8,
                                   TextFormat::words};

Vocabulary vocabulary_of(std::string_view text, TextFormat format) {
  Vocabulary result;
  for_each_token(text, format, [&](const Token& token) { result.add(token); });
  return result;
}

std::string all_bytes() {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  return text;
}

TEST_CASE("tokens get their ids in the order of first appearance") {
  const Vocabulary v = vocabulary_of("the cat\nthe dog", TextFormat::words);
  CHECK(v.size() == 4);
  CHECK(v.text(0) == "the");
  CHECK(v.text(1) == "cat");
  CHECK(v.text(2) == "\n");
  CHECK(v.text(3) == "dog");
  CHECK(v.end_of_line() == 2);
}

TEST_CASE("a token is found by its bytes") {
  const Vocabulary v = vocabulary_of("the a\n", TextFormat::words);
  CHECK(v.find("the") == 0);
  CHECK(v.find("a") == 1);
  CHECK(v.find("\n") == 2);
  CHECK_FALSE(v.find("th").has_value());
  CHECK_FALSE(v.find("b").has_value());
  CHECK_FALSE(v.find("").has_value());
}

TEST_CASE("the newline byte and the end of a line are two tokens where both exist") {
  Vocabulary v = vocabulary_of("a\n", TextFormat::text8);
  const int32_t end_of_line = v.add(kEndOfLine);
  CHECK(end_of_line == 2);
  CHECK(v.find("\n") == 1);
  CHECK(v.text(1) == v.text(2));
  CHECK_FALSE(v.token(1).end_of_line);
  CHECK(v.token(2).end_of_line);
  CHECK(v.file_text() == "a\n\\x0a\n<eol>\n");
}

TEST_CASE("decoding gives back every byte of an encoded text") {
  const std::string text = all_bytes() + "\n\nMixed \xc3\xa9 text\n";
  for (const TextFormat format : {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8}) {
    CAPTURE(name(format));
    const Vocabulary v = vocabulary_of(text, format);
    CHECK(v.decode(encode_prompt(text, v, {format}).ids, format) == text);
  }
}

TEST_CASE("decoded words are joined by one space, with none around newlines") {
  const Vocabulary v = vocabulary_of("a cat\n", TextFormat::words);
  const auto ids = encode_prompt("\n a  cat \n\n\tcat a\n", v, {TextFormat::words}).ids;
  CHECK(v.decode(ids, TextFormat::words) == "\na cat\n\ncat a\n");
}

TEST_CASE("the vocabulary of the bytes has each of them at its own number") {
  const Vocabulary v = Vocabulary::of_bytes();
  REQUIRE(v.size() == 256);
  for (int byte = 0; byte < 256; ++byte) {
    CHECK(v.text(byte) == std::string(1, static_cast<char>(byte)));
    CHECK(v.find(v.text(byte)) == byte);
  }
  CHECK_FALSE(v.end_of_line().has_value());
}

TEST_CASE("<unk> stands for other words only where that was asked for") {
  Vocabulary v = vocabulary_of("a <unk> b", TextFormat::words);
  CHECK_FALSE(v.unknown().has_value());
  v.add_unknown();
  CHECK(v.unknown() == 1);
  CHECK(v.size() == 3);
  Vocabulary without = vocabulary_of("a b", TextFormat::words);
  without.add_unknown();
  CHECK(without.unknown() == 2);
}

TEST_CASE("an id that the vocabulary does not have is refused") {
  const Vocabulary v = vocabulary_of("ab", TextFormat::bytes);
  CHECK_THROWS_WITH_AS(v.text(2), Contains("expected an id of 0 to 1; got 2"), Error);
  CHECK_THROWS_WITH_AS(v.text(-1), Contains("expected an id of 0 to 1; got -1"), Error);
  CHECK_THROWS_WITH_AS(v.decode(Ids{0, 7}, TextFormat::bytes), Contains("got 7"), Error);
}

TEST_CASE("the file shows visible ASCII and escapes every other byte") {
  const Vocabulary v = vocabulary_of("A~ \\\t\xe9", TextFormat::bytes);
  CHECK(v.file_text() == "A\n~\n\\x20\n\\x5c\n\\x09\n\\xe9\n");
}

TEST_CASE("a word that reads <eol> is not taken for the end of a line") {
  const Vocabulary v = vocabulary_of("<eol> x<eol>\n", TextFormat::words);
  CHECK(v.file_text() == "\\x3ceol>\nx<eol>\n<eol>\n");
  const Vocabulary again = Vocabulary::parse(v.file_text());
  CHECK(again.find("<eol>") == 0);
  CHECK(again.end_of_line() == 2);
}

TEST_CASE("a vocabulary comes back from its file unchanged") {
  for (const TextFormat format : kFormats) {
    CAPTURE(name(format));
    Vocabulary v = vocabulary_of(all_bytes() + " <eol> \\x41 a\\b\n", format);
    v.add(kEndOfLine);
    const Vocabulary again = Vocabulary::parse(v.file_text());
    REQUIRE(again.size() == v.size());
    for (int32_t id = 0; id < v.size(); ++id) {
      CHECK(again.text(id) == v.text(id));
      CHECK(again.token(id).end_of_line == v.token(id).end_of_line);
    }
    CHECK(again.hash() == v.hash());
  }
}

TEST_CASE("the hash tells vocabularies of the same tokens in another order apart") {
  CHECK(vocabulary_of("ab", TextFormat::bytes).hash() !=
        vocabulary_of("ba", TextFormat::bytes).hash());
}

TEST_CASE("a file with an empty line or without its last newline is refused") {
  CHECK_THROWS_WITH_AS(Vocabulary::parse("a\n\nb\n"), Contains("got \"\" after 1 of them"), Error);
  CHECK_THROWS_WITH_AS(Vocabulary::parse("a\nb"), Contains("got \"b\" after 1 of them"), Error);
}

TEST_CASE("a file with the same token twice is refused, however it is written") {
  CHECK_THROWS_WITH_AS(Vocabulary::parse("a\nb\n\\x61\n"), Contains("got \"\\x61\" twice"), Error);
  CHECK_THROWS_WITH_AS(Vocabulary::parse("<eol>\n<eol>\n"), Contains("got \"<eol>\" twice"), Error);
}

TEST_CASE("a file with a bad escape is refused") {
  for (const char* line : {"\\", "\\x4", "\\n41", "\\x4g", "\\xg4", "\\x-1"}) {
    CAPTURE(line);
    CHECK_THROWS_WITH_AS(Vocabulary::parse(std::string(line) + "\n"),
                         Contains("expected \\xNN after a backslash"), Error);
  }
}

}  // namespace
}  // namespace adaspan
