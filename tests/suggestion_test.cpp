// SPDX-License-Identifier: MIT
#include "app/suggestion.h"

#include <doctest/doctest.h>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

TEST_CASE("a letter more, less, another or two swapped are a distance of one") {
  CHECK(edit_distance("train", "train") == 0);
  CHECK(edit_distance("trin", "train") == 1);
  CHECK(edit_distance("traain", "train") == 1);
  CHECK(edit_distance("traln", "train") == 1);
  CHECK(edit_distance("trian", "train") == 1);
  CHECK(edit_distance("", "train") == 5);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("a word is suggested that is like the one given, and the nearest of several") {
  CHECK(did_you_mean("trian", {"eval", "train"}) == "; did you mean train?");
  CHECK(did_you_mean("enwik9", {"demo", "enwik8", "enwik8_large"}) == "; did you mean enwik8?");
  CHECK(did_you_mean("frobnicate", {"eval", "train"}).empty());
  CHECK(did_you_mean("x", {"a", "b"}).empty());
  CHECK(did_you_mean("", {"a", "train"}).empty());
}

TEST_CASE("a type names what a value may be") {
  CHECK(alternatives("a|bc|d") == std::vector<std::string>{"a", "bc", "d"});
  CHECK(alternatives("FILE").empty());
  CHECK_NOTHROW(require_alternative("optim", "adam", "sgd|adam"));
  CHECK_NOTHROW(require_alternative("data", "anything", "DIR"));
  CHECK_NOTHROW(require_alternative("spans", "my.json", "initial|full|FILE"));
  CHECK_THROWS_WITH_AS(
      require_alternative("optim", "adm", "sgd|adam"),
      "[settings] expected --optim to be sgd or adam; got \"adm\"; did you mean adam?", Error);
}

}  // namespace
}  // namespace adaspan
