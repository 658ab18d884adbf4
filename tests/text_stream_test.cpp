// SPDX-License-Identifier: MIT
#include "app/text_stream.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace adaspan {
namespace {

using Pieces = std::vector<std::string>;

/// What is shown after each byte, and at the end.
Pieces shown(const std::string& bytes, const std::string& stop = "") {
  const Vocabulary vocabulary = Vocabulary::of_bytes();
  TextStream stream(vocabulary, TextFormat::bytes, stop);
  Pieces pieces;
  for (char byte : bytes) pieces.push_back(stream.add(static_cast<unsigned char>(byte)));
  pieces.push_back(stream.rest());
  return pieces;
}

TEST_CASE("characters are shown whole, and as soon as they are there") {
  CHECK(shown("ab") == Pieces{"a", "b", ""});
  CHECK(shown("é€😀!") == Pieces{"", "é", "", "", "€", "", "", "", "😀", "!", ""});
}

TEST_CASE("what is no UTF-8 is shown all the same") {
  CHECK(shown("\xff"
              "a") == Pieces{"\xff", "a", ""});
  CHECK(shown("\xc3"
              "a") == Pieces{"",
                             "\xc3"
                             "a",
                             ""});  // a character broken off
  CHECK(shown("\xa9\xa9\xa9\xa9\xa9") == Pieces{"\xa9", "\xa9", "\xa9", "\xa9", "\xa9", ""});
  CHECK(shown("x\xe2\x82") == Pieces{"x", "", "", "\xe2\x82"});  // at the end of the text
}

TEST_CASE("a text ends before its stop text, no beginning of which is shown too soon") {
  CHECK(shown("one, two", ", ") == Pieces{"o", "n", "e", "", "", "", "", "", ""});
  CHECK(shown("a,b", ", ") == Pieces{"a", "", ",b", ""});
  CHECK(shown("aab", "ab") == Pieces{"", "a", "", ""});
  CHECK(shown("a,", ", ") == Pieces{"a", "", ","});  // never came
  CHECK(shown("xé", "é") == Pieces{"x", "", "", ""});
}

TEST_CASE("words have spaces between them, and a stop text may lie across words") {
  Vocabulary vocabulary;
  const int32_t the = vocabulary.add({.bytes = "the", .end_of_line = false});
  const int32_t dog = vocabulary.add({.bytes = "dog", .end_of_line = false});
  const int32_t end = vocabulary.add({.bytes = "\n", .end_of_line = true});
  TextStream stream(vocabulary, TextFormat::words);
  Pieces pieces;
  for (int32_t id : {the, dog, end, the, the}) pieces.push_back(stream.add(id));
  CHECK(pieces == Pieces{"the", " dog", "\n", "the", " the"});
  const std::vector<int32_t> all = {the, dog, end, the, the};
  CHECK(stream.text() == vocabulary.decode(all, TextFormat::words));

  TextStream stopping(vocabulary, TextFormat::words, "e d");
  CHECK(stopping.add(the) == "th");
  CHECK_FALSE(stopping.stopped());
  CHECK(stopping.add(dog) == "");
  CHECK(stopping.stopped());
  CHECK(stopping.add(the) == "");
  CHECK(stopping.text() == "th");
}

}  // namespace
}  // namespace adaspan
