// SPDX-License-Identifier: MIT
#include "adaspan/train/data/newline.h"

#include <doctest/doctest.h>

#include <string>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

/// What is left of a text that comes in blocks of `size`.
std::string left(std::string_view text, TextFormat format, size_t size) {
  WithoutNewlines kept(format);
  std::string result;
  for (size_t at = 0; at < text.size(); at += size) {
    kept.add(text.substr(at, size), [&](std::string_view piece) {
      CHECK_FALSE(piece.empty());
      result += piece;
    });
  }
  return result;
}

TEST_CASE("enwik8 without newlines has all other bytes, wherever blocks are cut") {
  const std::string text = "\n a\r\n\nb \tc\n ";
  for (size_t size = 1; size <= text.size(); ++size) {
    CHECK(left(text, TextFormat::enwik8, size) == " a\rb \tc ");
  }
}

TEST_CASE(
    "text8 without newlines has spaces alone, and none at its ends, wherever blocks are cut") {
  const std::string text = " \n  an\t a \n rm  x\n \r ";
  for (size_t size = 1; size <= text.size(); ++size) {
    CHECK(left(text, TextFormat::text8, size) == "an a  rm  x");
  }
  CHECK(left(" \n ", TextFormat::text8, 1).empty());
}

TEST_CASE("a part ends with an added end of a line where its reading asks for one") {
  CHECK_FALSE(ends_with_added_line("a", {TextFormat::bytes}));
  CHECK(ends_with_added_line("a\n", {TextFormat::text8}));
  CHECK(ends_with_added_line("a", {TextFormat::enwik8}));
  CHECK_FALSE(ends_with_added_line("a\n", {TextFormat::enwik8}));
  CHECK(ends_with_added_line("a", {TextFormat::words}));
  CHECK_FALSE(ends_with_added_line("a\n", {TextFormat::words}));
  CHECK_FALSE(ends_with_added_line("a", {TextFormat::enwik8, Newline::drop}));
  CHECK_FALSE(ends_with_added_line("a", {TextFormat::text8, Newline::drop}));
}

TEST_CASE("a reading is told by format and newlines") {
  CHECK(text_of({TextFormat::enwik8, Newline::drop}) == "enwik8, newlines dropped");
  CHECK(text_of({TextFormat::text8}) == "text8, newlines kept");
}

TEST_CASE("keep and drop go by their names, and others are refused") {
  for (const char* text : {"keep", "drop"}) CHECK(std::string(name(newline_of(text))) == text);
  CHECK_THROWS_WITH_AS(newline_of("strip"),
                       "[prepare] expected prepare.newline to be keep or drop; got \"strip\"; "
                       "choose one",
                       Error);
}

}  // namespace
}  // namespace adaspan
