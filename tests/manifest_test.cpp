// SPDX-License-Identifier: MIT
#include "adaspan/train/run/manifest.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "adaspan/core/build.h"
#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/train/run/config_record.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::ordered_json;

Manifest start(const std::filesystem::path& path, const ordered_json& entry) {
  return record_start(path, entry, "c.safetensors");
}

ordered_json entry(int64_t step, int threads) {
  return {{"step", step},
          {"configuration", {{"lr", 0.1}}},
          {"environment", {{"threads", threads}}},
          {"data", {{"text_sha256", "0"}}}};
}

TEST_CASE("an entry holds all that the numbers of a run are a function of") {
  const RunPlace place;
  Trainer run = place.trainer(run_config());
  run.step();
  const ordered_json found = manifest_entry(run);
  CHECK(found.at("step") == 1);
  CHECK(found.at("configuration") == to_json(run.config()));
  CHECK(found.at("environment").at("isa") == name(isa()));
  CHECK(found.at("data").at("text_sha256") == place.corpus.text_hash());
  CHECK(found.at("data").at("vocabulary_sha256") == place.corpus.vocabulary_hash());
  CHECK(found.at("data").at("reading") == "enwik8, newlines kept");
  CHECK(found.at("parameters") == run.parameters());

  const ordered_json& made_by = found.at("environment");
  CHECK(made_by == environment());
  CHECK(made_by.at("version") == build_info().version);
  for (const char* key : {"git", "compiler", "flags", "onednn", "cpu", "isa"}) {
    CAPTURE(key);
    CHECK_FALSE(made_by.at(key).get<std::string>().empty());
  }
  set_threads(3);
  CHECK(environment().at("threads") == 3);
  set_threads(1);
}

TEST_CASE("a start is recorded when it differs from the one before") {
  const TemporaryFolder folder;
  const auto path = folder / "manifest.json";
  start(path, entry(0, 1));
  start(path, entry(5, 1));  // goes on as it was
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 1)});
  start(path, entry(9, 2));
  start(path, entry(12, 1));
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 1), entry(9, 2), entry(12, 1)});
  start(path, entry(10, 4));  // of an older checkpoint: the steps after 10 are made again
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 1), entry(9, 2), entry(10, 4)});
  start(path, entry(10, 8));  // no step was made with 4
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 1), entry(9, 2), entry(10, 8)});
  start(path, entry(7, 1));  // as at first: the entries of lost steps go all the same
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 1)});
  start(path, entry(0, 2));  // a new run
  CHECK(read_manifest(path) == std::vector<ordered_json>{entry(0, 2)});
}

TEST_CASE("what is no manifest is refused and stays") {
  const TemporaryFolder folder;
  const auto path = folder / "manifest.json";
  CHECK_THROWS_AS(read_manifest(path), Error);
  for (const char* text :
       {"", "[]", "{}", R"({"starts":[]})", R"({"starts":[1]})", R"({"starts":[{"step":"1"}]})",
        R"({"starts":{"step":1}})",
        R"({"starts":[{"step":1,"configuration":{},"environment":{},"data":1}]})",
        R"({"starts":[{"step":1,"configuration":[],"environment":{},"data":{}}]})"}) {
    CAPTURE(text);
    atomic_write(path, text);
    CHECK_THROWS_WITH_AS(read_manifest(path), Contains("[manifest] expected"), Error);
    CHECK_THROWS_WITH_AS(start(path, entry(1, 1)), Contains("move it away"), Error);
    CHECK(read_text(path) == text);
  }
}

}  // namespace
}  // namespace adaspan
