// SPDX-License-Identifier: MIT
#include "adaspan/train/data/text_format.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

/// The tokens of a text, the end of a line written <eol>.
std::vector<std::string> tokens(std::string_view text, TextFormat format) {
  std::vector<std::string> result;
  for_each_token(text, format, [&](const Token& token) {
    result.emplace_back(token.end_of_line ? "<eol>" : token.bytes);
  });
  return result;
}

using Strings = std::vector<std::string>;

TEST_CASE("bytes takes every byte, the newline too") {
  CHECK(tokens("a \n\xff", TextFormat::bytes) == Strings{"a", " ", "\n", "\xff"});
}

TEST_CASE("enwik8 makes the newline the end of a line and changes no other byte") {
  CHECK(tokens("a \r\n\nb", TextFormat::enwik8) == Strings{"a", " ", "\r", "<eol>", "<eol>", "b"});
}

TEST_CASE("text8 takes every byte") {
  CHECK(tokens("a b\n", TextFormat::text8) == Strings{"a", " ", "b", "\n"});
}

TEST_CASE("words are what white space leaves, with one end of a line per line") {
  CHECK(tokens(" the\tcat \r\n\n sat\f", TextFormat::words) ==
        Strings{"the", "cat", "<eol>", "<eol>", "sat"});
  CHECK(tokens("one", TextFormat::words) == Strings{"one"});
}

TEST_CASE("words that come in blocks are whole, wherever these are cut") {
  const std::string text = " the\tcat \r\n\n sat  on a_rather_long_word\nx";
  for (size_t size = 1; size <= text.size(); ++size) {
    CAPTURE(size);
    Strings found;
    const auto take = [&](std::string_view piece) {
      const Strings some = tokens(piece, TextFormat::words);
      found.insert(found.end(), some.begin(), some.end());
    };
    WholeWords words;
    for (size_t at = 0; at < text.size(); at += size) {
      words.add(std::string_view(text).substr(at, size), take);
    }
    words.finish(take);
    CHECK(found == tokens(text, TextFormat::words));
  }
}

TEST_CASE("an empty text has no tokens") {
  for (const char* name : {"bytes", "enwik8", "text8", "words"}) {
    CHECK(tokens("", text_format(name)).empty());
  }
}

TEST_CASE("a format goes by its name") {
  for (const char* text : {"bytes", "enwik8", "text8", "words"}) {
    CHECK(std::string(name(text_format(text))) == text);
  }
}

TEST_CASE("an unknown format is refused with the names of the known ones") {
  CHECK_THROWS_WITH_AS(text_format("enwik9"),
                       "[prepare] expected the format bytes, enwik8, text8 or words; got "
                       "\"enwik9\"; choose one",
                       Error);
}

}  // namespace
}  // namespace adaspan
