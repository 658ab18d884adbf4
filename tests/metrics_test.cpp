// SPDX-License-Identifier: MIT
#include "adaspan/train/run/metrics.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;

/// The line of a start after so many steps.
std::string configuration(int64_t step) {
  return "{\"configuration\":{},\"step\":" + std::to_string(step) + "}\n";
}
const std::string kConfiguration = configuration(0);

std::string step(int64_t n) {
  return "{\"step\":" + std::to_string(n) + "}\n";
}

/// What is left of a file of `text` when a run goes on after so many steps.
std::string kept(const std::string& text, int64_t steps_done) {
  const TemporaryFolder folder;
  atomic_write(folder / "metrics.jsonl", text);
  const MetricsFile file(folder / "metrics.jsonl", steps_done);
  const std::string left = read_text(folder / "metrics.jsonl");
  CHECK(file.fresh() == left.empty());
  return left;
}

TEST_CASE("the span of a model is the mean and the largest z, rounded up, plus the ramp") {
  const SpanSummary spans = summarise_spans({{0, 1.5f}, {10, 2}}, 32, 1024);
  CHECK(spans.mean == 4 + 32);  // 13.5 / 4 = 3.375
  CHECK(spans.max == 10 + 32);
  CHECK(summarise_spans({{0, 0}}, 32, 1024).mean == 32);
  CHECK(summarise_spans({{0, 0.1f}}, 32, 1024).max == 33);
  CHECK(summarise_spans({}, 32, 1024).mean == 32);
  CHECK(summarise_spans({{64}}, 8, 64).max == 64);
}

TEST_CASE("lines are there as soon as they are written") {
  const TemporaryFolder folder;
  MetricsFile file(folder / "new" / "metrics.jsonl", 0);  // the folder is made
  CHECK(file.fresh());
  file.write({{"configuration", nlohmann::ordered_json::object()}, {"step", 0}});
  CHECK_FALSE(file.fresh());
  file.write({{"step", 1}});
  CHECK(read_text(folder / "new" / "metrics.jsonl") == kConfiguration + step(1));
}

TEST_CASE("a new run starts a new file") {
  CHECK(kept(kConfiguration + step(1), 0).empty());
}

TEST_CASE("a run that goes on keeps the lines of its steps and drops later ones") {
  const std::string text = kConfiguration + step(1) + step(2) + step(2) + step(3);
  CHECK(kept(text, 2) == kConfiguration + step(1) + step(2) + step(2));
  CHECK(kept(text, 3) == text);
}

TEST_CASE("the clock of a run that goes on begins where that of its kept lines ended") {
  const auto at = [](int64_t n, double seconds) {
    return nlohmann::ordered_json{{"step", n}, {"clock", to_json(RunClock{.seconds = seconds})}}
               .dump() +
           "\n";
  };
  const auto before = [&](const std::string& text, int64_t steps_done) {
    const TemporaryFolder folder;
    atomic_write(folder / "metrics.jsonl", text);
    return MetricsFile(folder / "metrics.jsonl", steps_done).seconds_before();
  };
  const std::string lines = kConfiguration + at(1, 10) + at(2, 20.5) + at(3, 31);
  CHECK(before(lines, 2) == 20.5);
  CHECK(before(lines, 0) == 0);
  CHECK(before(kConfiguration + step(1), 1) == 0);  // of an older version
  CHECK(before(kConfiguration + "{\"step\":1,\"clock\":{\"seconds\":\"x\"}}\n", 1) == 0);
}

TEST_CASE("a configuration goes with the steps after its own") {
  const std::string text = kConfiguration + step(1) + step(2) + configuration(2) + step(3);
  CHECK(kept(text, 2) == kConfiguration + step(1) + step(2));
  CHECK(kept(text, 3) == text);
}

TEST_CASE("a line that was cut short is dropped") {
  CHECK(kept(kConfiguration + step(1) + "{\"step\":2,\"lo", 2) == kConfiguration + step(1));
  CHECK(kept("17\n" + step(1), 1) == step(1));
}

TEST_CASE("a line whose step is no whole number is dropped") {
  CHECK(kept("{\"step\":\"1\"}\n{\"step\":null}\n{\"step\":-1e300}\n" + step(1), 1) == step(1));
}

TEST_CASE("a run that goes on without its old file starts one") {
  const TemporaryFolder folder;
  CHECK(MetricsFile(folder / "metrics.jsonl", 5).fresh());
}

TEST_CASE("a file that somebody removes is made again with all its lines") {
  const TemporaryFolder folder;
  const auto path = folder / "run" / "metrics.jsonl";
  MetricsFile file(path, 0);
  file.write({{"step", 1}});
  std::filesystem::remove_all(folder / "run");
  file.write({{"step", 2}});
  file.flush_to_disk();
  CHECK(read_text(path) == step(1) + step(2));
  file.write({{"step", 3}});
  CHECK(read_text(path) == step(1) + step(2) + step(3));
}

TEST_CASE("a file that cannot be written is refused") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "metrics.jsonl" / "full");
  CHECK_THROWS_WITH_AS(MetricsFile(folder / "metrics.jsonl", 0), Contains("[file] expected to"),
                       Error);
}

TEST_CASE("a disk that fills up is an error and not a line lost in silence") {
  const TemporaryFolder folder;
  MetricsFile file(folder / "metrics.jsonl", 0);
  std::string message = "none";
  try {
    const FileSizeLimit limit(100);
    for (int i = 0; i < 100; ++i) file.write({{"step", i}});
  } catch (const Error& e) {
    message = e.what();
  }
  CHECK(message.starts_with("[metrics] expected to write "));
  CHECK(message.ends_with("; free some space and run the same command again"));
}

}  // namespace
}  // namespace adaspan
