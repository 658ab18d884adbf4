// SPDX-License-Identifier: MIT
#include "adaspan/core/shallow_json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace adaspan {
namespace {

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST_CASE("JSON is read as it is") {
  const char* text = R"({"step":1,"spans":[[1.5,2],[]],"lr":null})";
  CHECK(shallow_json(text).dump() == text);
  CHECK(shallow_json("17") == 17);
  CHECK(shallow_json(nested(64)).dump() == nested(64));
}

TEST_CASE("what is no JSON, or too deep to be copied, is discarded") {
  for (const std::string& text : {std::string(), std::string("{"), std::string("{} {}"), nested(65),
                                  nested(100'000), "{\"a\":[1," + nested(65) + "],\"b\":2}"}) {
    CAPTURE(text.substr(0, 80));
    CHECK(shallow_json(text).is_discarded());
  }
}

}  // namespace
}  // namespace adaspan
