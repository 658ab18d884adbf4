// SPDX-License-Identifier: MIT
#include "adaspan/train/data/lined_text.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>

#include "adaspan/train/data/utf8.h"

namespace adaspan {
namespace {

using Ids = std::vector<int32_t>;
using Bytes = std::vector<uint32_t>;

Vocabulary vocabulary_of(std::string_view text, TextFormat format) {
  Vocabulary vocabulary;
  for_each_token(text, format, [&](const Token& token) { vocabulary.add(token); });
  vocabulary.add(kEndOfLine);
  return vocabulary;
}

int64_t bytes_of(const LinedText& text) {
  return std::accumulate(text.bytes.begin(), text.bytes.end(), int64_t{0});
}

TEST_CASE("bytes: every one is an id, the newline like any other; lines end after theirs") {
  const LinedText found =
      encode_lines("ab\n\nc", Vocabulary::of_bytes(), {TextFormat::bytes}, false);
  CHECK(found.ids == Ids{'a', 'b', '\n', '\n', 'c'});
  CHECK(found.bytes == Bytes{1, 1, 1, 1, 1});
  REQUIRE(found.lines.size() == 3);
  CHECK(found.lines[0].text == "ab\n");
  CHECK(found.lines[1].text == "\n");
  CHECK(found.lines[1].begin == 3);
  CHECK(found.lines[2].text == "c");
  CHECK(found.lines[2].end == 5);
  CHECK_FALSE(found.line_end_added);
}

TEST_CASE("an empty text has no lines, and none is added") {
  const Vocabulary vocabulary = vocabulary_of("ab", TextFormat::enwik8);
  const LinedText found = encode_lines("", vocabulary, {TextFormat::enwik8}, false);
  CHECK(found.ids.empty());
  CHECK(found.lines.empty());
  CHECK_FALSE(found.line_end_added);
}

TEST_CASE("an end of a line is added as to the parts of a corpus; it stands for no byte") {
  const Vocabulary vocabulary = vocabulary_of("ab", TextFormat::enwik8);  // a 0, b 1, <eol> 2
  const LinedText open = encode_lines("a\nb", vocabulary, {TextFormat::enwik8}, false);
  CHECK(open.ids == Ids{0, 2, 1, 2});
  CHECK(open.bytes == Bytes{1, 1, 1, 0});
  CHECK(open.lines.size() == 2);
  CHECK(open.lines[1].end == 4);
  CHECK(open.line_end_added);
  CHECK_FALSE(encode_lines("a\nb\n", vocabulary, {TextFormat::enwik8}, false).line_end_added);
  CHECK(encode_lines("a b", vocabulary_of("a b", TextFormat::text8), {TextFormat::text8}, false)
            .line_end_added);
}

TEST_CASE("a character with any byte that is not known is left out whole, and counted") {
  const Vocabulary vocabulary = vocabulary_of("a\xc3\xa4z", TextFormat::enwik8);  // a, C3, A4, z
  const std::string text = "a\xc3\xa4\xc3\xb6z\xff.\n";  // the second has C3, but not B6
  const LinedText found = encode_lines(text, vocabulary, {TextFormat::enwik8}, false);
  CHECK(found.ids == Ids{0, 1, 2, 3, 4});
  CHECK(found.lines[0].unknown == 3);
  CHECK(bytes_of(found) == 5);
}

TEST_CASE("words: white space belongs to the word before it, at the start of a line after it") {
  const Vocabulary vocabulary = vocabulary_of("the cat", TextFormat::words);  // the, cat, <eol>
  const std::string text = "  the  dog cat \n \nthe";
  const LinedText found = encode_lines(text, vocabulary, {TextFormat::words}, false);
  CHECK(found.ids == Ids{0, 1, 2, 2, 0, 2});
  CHECK(found.bytes == Bytes{7, 4, 1, 2, 3, 0});  // of 21 bytes all but those of "dog "
  CHECK(found.lines[0].unknown == 1);
  CHECK(found.lines[1].text == " \n");
  CHECK(found.line_end_added);
}

TEST_CASE("words: <unk> takes the place of unknown ones, and is counted itself") {
  Vocabulary vocabulary = vocabulary_of("the cat", TextFormat::words);
  vocabulary.add_unknown();  // 3
  const LinedText found =
      encode_lines("the dog <unk> cat\n", vocabulary, {TextFormat::words}, false);
  CHECK(found.ids == Ids{0, 3, 3, 1, 2});
  CHECK(found.lines[0].unknown == 2);
}

TEST_CASE("what the reading drops is neither there nor unknown") {
  const Vocabulary letters = vocabulary_of("ab ", TextFormat::text8);  // a, b, space
  const LinedText text8 =
      encode_lines(" a\tb \n a\n ", letters, {TextFormat::text8, Newline::drop}, false);
  CHECK(text8.ids == Ids{0, 1, 2, 2, 0});  // "ab  a"
  CHECK(text8.lines.size() == 3);
  CHECK((text8.lines[0].unknown == 0 && text8.lines[1].unknown == 0));
  CHECK_FALSE(text8.line_end_added);
  const LinedText enwik8 =
      encode_lines("a\n b\n", letters, {TextFormat::enwik8, Newline::drop}, false);
  CHECK(enwik8.ids == Ids{0, 2, 1});
}

TEST_CASE("lines by themselves begin with the end of a line, where there is one") {
  const LinedText bytes = encode_lines("a\nb", Vocabulary::of_bytes(), {TextFormat::bytes}, true);
  CHECK(bytes.ids == Ids{'\n', 'a', '\n', '\n', 'b'});
  CHECK(bytes.bytes == Bytes{0, 1, 1, 0, 1});
  CHECK(bytes.lines[1].begin == 3);
  CHECK(bytes.line_end_before);
  Vocabulary without;
  without.add({"a"});
  const LinedText none = encode_lines("a\na", without, {TextFormat::enwik8, Newline::drop}, true);
  CHECK(none.ids == Ids{0, 0});
  CHECK_FALSE(none.line_end_before);
}

TEST_CASE("what is not visible, or not UTF-8, is shown escaped") {
  CHECK(visible("a\xc3\xa4 \t\xff") == "a\xc3\xa4 \\x09\\xff");
  CHECK(first_character("\xe2\x82\xac!").bytes == 3);
  CHECK(first_character("\xe2\x82").bytes == 1);
  CHECK_FALSE(first_character("\xe2\x82").code.has_value());
}

}  // namespace
}  // namespace adaspan
