// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prompt.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Ids = std::vector<int32_t>;

Vocabulary vocabulary_of(std::string_view text, TextFormat format) {
  Vocabulary result;
  for_each_token(text, format, [&](const Token& token) { result.add(token); });
  return result;
}

/// What encode_prompt says when it refuses.
std::string refusal(std::string_view text, const Vocabulary& vocabulary, const Reading& reading,
                    UnknownTokens unknown = UnknownTokens::refuse) {
  try {
    encode_prompt(text, vocabulary, reading, unknown);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("no end of a line is added to a prompt") {
  const Vocabulary v = vocabulary_of("ab\n", TextFormat::enwik8);
  CHECK(encode_prompt("ba", v, {TextFormat::enwik8}).ids == Ids{1, 0});
  CHECK(encode_prompt("b\na", v, {TextFormat::enwik8}).ids == Ids{1, 2, 0});
}

TEST_CASE("newlines of a prompt are dropped where those of the corpus were, and counted") {
  const Vocabulary v = vocabulary_of("ab ", TextFormat::enwik8);
  const Prompt prompt = encode_prompt("\nb\n a\n", v, {TextFormat::enwik8, Newline::drop});
  CHECK(prompt.ids == Ids{1, 2, 0});
  CHECK(prompt.newlines == 3);
  CHECK(prompt.skipped == 0);
  CHECK(has(refusal("\n", v, {TextFormat::enwik8, Newline::drop}), "got unknown ones alone"));
  CHECK(has(refusal("b\n", v, {TextFormat::enwik8}), "got \"\\x0a\" (U+000A), character 2"));
}

TEST_CASE("a prompt of any bytes is known where the vocabulary has all bytes") {
  const Prompt prompt =
      encode_prompt("\xff\n\xc3\xa9", Vocabulary::of_bytes(), {TextFormat::bytes});
  CHECK(prompt.ids == Ids{255, 10, 195, 169});
}

TEST_CASE("an unknown character is named whole, with its code and place") {
  const Vocabulary v = vocabulary_of("a caf\xc3 of e\xcc", TextFormat::bytes);
  struct Case {
    const char *prompt, *named;
  };
  for (const Case& c : {Case{"a \xc3\xa9", "got \"\xc3\xa9\" (U+00E9), character 3 of"},
                        {"e\xcc\xa2", "(U+0322), character 2 of"},
                        {"\xe2\x82\xac", "got \"\xe2\x82\xac\" (U+20AC), character 1 of"},
                        {"a\xf0\x9f\x98\x80", "\" (U+1F600), character 2 of"},
                        {"\xc3\xa9\x7f", "\xc3\xa9\" (U+00E9), character 1"},
                        {"a\x07", "got \"\\x07\" (U+0007), character 2 of"},
                        {"a\xc2\x85", "got \"\\xc2\\x85\" (U+0085), character 2 of"},
                        {"Z", "got \"Z\" (U+005A), character 1 of"}}) {
    CAPTURE(c.prompt);
    CHECK(has(refusal(c.prompt, v, {TextFormat::bytes}), c.named));
  }
}

TEST_CASE("what is not UTF-8 is named by its byte") {
  const Vocabulary v = vocabulary_of("ab", TextFormat::bytes);
  struct Case {
    const char *prompt, *named;
  };
  for (const Case& c : {Case{"a\xff", "got the byte \\xff, character 2 of"},
                        {"\xc3", "got the byte \\xc3, character 1"},          // cut short
                        {"\xc3\x28", "got the byte \\xc3, character 1"},      // no second byte
                        {"\xc0\xaf", "got the byte \\xc0, character 1"},      // too long a form
                        {"\xe0\x80\xaf", "got the byte \\xe0, character 1"},  // and another
                        {"\xed\xa0\x80", "got the byte \\xed, character 1"},  // a surrogate
                        {"\xf4\x90\x80\x80", "got the byte \\xf4, character 1"}}) {  // too large
    CAPTURE(c.prompt);
    CHECK(has(refusal(c.prompt, v, {TextFormat::bytes}), c.named));
  }
}

TEST_CASE("an unknown word, or end of a line, is named with its place among the words") {
  const Vocabulary v = vocabulary_of("a cat", TextFormat::words);
  CHECK(has(refusal("a\tcat b\xc3\xa9\x01rd", v, {TextFormat::words}),
            "got \"b\xc3\xa9\\x01rd\", word 3 of the prompt"));
  CHECK(has(refusal("a cat\n", v, {TextFormat::words}), "got the end of a line, word 2 of"));
}

TEST_CASE("a refusal tells the way to leave out what is unknown") {
  CHECK(has(refusal("b", vocabulary_of("a", TextFormat::bytes), {TextFormat::bytes}),
            "set generate.unknown to skip"));
}

TEST_CASE("skip leaves out whole unknown characters and counts them") {
  // The first byte of the second character is known, which alone would be no text.
  const Vocabulary v = vocabulary_of("ab\xc3", TextFormat::bytes);
  const Prompt prompt = encode_prompt(
      "\xc3\xa9"
      "a\xffZb",
      v, {TextFormat::bytes}, UnknownTokens::skip);
  CHECK(prompt.ids == Ids{0, 1});
  CHECK(prompt.skipped == 3);
  CHECK(prompt.replaced == 0);
}

TEST_CASE("skip leaves out unknown words and counts them") {
  const Vocabulary v = vocabulary_of("a cat", TextFormat::words);
  const Prompt prompt = encode_prompt("a dog cat\n", v, {TextFormat::words}, UnknownTokens::skip);
  CHECK(prompt.ids == Ids{0, 1});
  CHECK(prompt.skipped == 2);
}

TEST_CASE("unknown words become <unk> where it stands for them, and are counted") {
  Vocabulary v = vocabulary_of("a cat\n", TextFormat::words);
  v.add_unknown();
  const Prompt prompt = encode_prompt("a dog <unk> cat", v, {TextFormat::words});
  CHECK(prompt.ids == Ids{0, 3, 3, 1});
  CHECK(prompt.replaced == 1);
  const Prompt skipped = encode_prompt("a dog", v, {TextFormat::words}, UnknownTokens::skip);
  CHECK(skipped.ids == Ids{0});
  CHECK(skipped.skipped == 1);
}

TEST_CASE("a prompt without any known token is refused") {
  Vocabulary v = vocabulary_of("a cat", TextFormat::words);
  const Vocabulary bytes = vocabulary_of("ab", TextFormat::bytes);
  CHECK(has(refusal("", bytes, {TextFormat::bytes}), "got an empty one"));
  CHECK(has(refusal(" ", v, {TextFormat::words}), "got an empty one"));
  CHECK(has(refusal("dog", v, {TextFormat::words}, UnknownTokens::skip), "got unknown ones alone"));
  CHECK(has(refusal("xyz", bytes, {TextFormat::bytes}, UnknownTokens::skip), "unknown ones alone"));
  v.add_unknown();
  CHECK(has(refusal("dog <unk>", v, {TextFormat::words}), "got unknown ones alone"));
}

TEST_CASE("what to do with unknown tokens goes by its name") {
  CHECK(unknown_tokens("skip") == UnknownTokens::skip);
  CHECK(unknown_tokens(name(UnknownTokens::refuse)) == UnknownTokens::refuse);
  CHECK_THROWS_WITH_AS(unknown_tokens("drop"), Contains("to be refuse or skip; got \"drop\""),
                       Error);
}

}  // namespace
}  // namespace adaspan
