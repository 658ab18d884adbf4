// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run_difference.h"

#include <doctest/doctest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <regex>

#include "adaspan/core/error.h"
#include "adaspan/train/run/run.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// Runs on one corpus, each in a folder of its own.
class Runs {
 public:
  TrainingConfig settings(const std::string& run) const {
    TrainingConfig s = run_config();
    s.run.data = (place_.folder / "corpus").string();
    s.run.checkpoint = (folder(run) / "checkpoint.safetensors").string();
    s.run.rounds = 2;
    s.run.steps_per_round = 6;
    s.run.log_steps = 2;
    return s;
  }
  fs::path folder(const std::string& run) const { return place_.folder / run; }
  void train(const TrainingConfig& s) const {
    const std::atomic<bool> stop = false;
    RunObserver silent;
    Trainer trainer = place_.trainer(s);
    run(trainer, silent, stop);
  }
  /// Replaces the first `from` in a file of a run.
  void edit(const std::string& run, const char* file, const std::string& from,
            const std::string& to) const {
    std::string text = read_text(folder(run) / file);
    const size_t place = text.find(from);
    REQUIRE(place != std::string::npos);
    atomic_write(folder(run) / file, text.replace(place, from.size(), to));
  }

 private:
  RunPlace place_;
};

TEST_CASE("what only later versions write is no difference to the record of an earlier one") {
  const Runs runs;
  runs.train(runs.settings("a"));
  runs.train(runs.settings("b"));
  const fs::path metrics = runs.folder("b") / "metrics.jsonl";
  const std::regex added(",\"span_gradient_loss\":\\[\\[[^\"]*,\"span_gradient_penalty\":[^,}]*");
  const std::string before = read_text(metrics), after = std::regex_replace(before, added, "");
  REQUIRE(after.size() < before.size());
  const std::string oldest =
      std::regex_replace(std::regex_replace(after, std::regex(",\"clipped\":[^,]*"), ""),
                         std::regex(",\"clock\":[{][^}]*[}]"), ",\"chars_per_s\":9");
  REQUIRE(oldest.size() < after.size());
  atomic_write(metrics, oldest);
  CHECK(compare_runs(runs.folder("a"), runs.folder("b")).first_step == 0);
  CHECK(reproduce(runs.folder("b"), "", 12).first_step == 0);
}

TEST_CASE("members that differ are named by their path") {
  const auto a = ordered_json::parse(R"({"x":1,"in":{"y":2,"z":[1,2]},"gone":null})");
  const auto b = ordered_json::parse(R"({"x":1,"in":{"y":3,"z":[1,2]},"new":"t"})");
  const std::vector<Difference> all = differences(a, b);
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "in.y");
  CHECK(all[0].a == "2");
  CHECK(all[0].b == "3");
  CHECK(all[1].name == "gone");
  CHECK(all[1].b == "none");
  CHECK(all[2].name == "new");
  CHECK(all[2].a == "none");
  CHECK(all[2].b == "\"t\"");
}

TEST_CASE("a run is the same again, and is reproduced") {
  const Runs runs;
  runs.train(runs.settings("a"));
  runs.train(runs.settings("b"));
  const RunDifference two = compare_runs(runs.folder("a"), runs.folder("b"));
  CHECK(two.steps_compared == 8);  // 6 logged steps, 2 validations
  CHECK(two.first_step == 0);
  CHECK(two.numbers.empty());
  CHECK(two.settings.empty());  // not even where the checkpoint lies

  const std::string before = read_text(runs.folder("a") / "metrics.jsonl");
  const RunDifference again = reproduce(runs.folder("a"), "", 7);
  CHECK(again.steps_compared == 4);  // steps 2, 4, 6 and the validation
  CHECK(again.first_step == 0);
  CHECK(again.settings.empty());
  CHECK(read_text(runs.folder("a") / "metrics.jsonl") == before);
}

TEST_CASE("the first number that differs is named, with what made it differ") {
  const Runs runs;
  runs.train(runs.settings("a"));
  TrainingConfig other = runs.settings("b");
  other.schedule.learning_rate *= 2;
  runs.train(other);
  const RunDifference two = compare_runs(runs.folder("a"), runs.folder("b"));
  CHECK(two.first_step == 2);
  REQUIRE_FALSE(two.numbers.empty());
  CHECK(two.numbers[0].name == "loss");
  REQUIRE(two.settings.size() == 1);
  CHECK(two.settings[0].name == "configuration.lr");
  CHECK(two.settings[0].a == "0.05");
  CHECK(two.settings[0].b == "0.1");
}

TEST_CASE("one digit of one number is a difference, of the environment none in the numbers") {
  const Runs runs;
  runs.train(runs.settings("a"));
  runs.edit("a", "metrics.jsonl", R"("step":4,"loss":)", R"("step":4,"loss":1)");
  const RunDifference digit = reproduce(runs.folder("a"), "", 12);
  CHECK(digit.first_step == 4);
  REQUIRE(digit.numbers.size() == 1);
  CHECK(digit.numbers[0].name == "loss");
  CHECK(digit.numbers[0].a.starts_with("1" + digit.numbers[0].b.substr(0, 6)));

  runs.train(runs.settings("b"));
  runs.edit("b", "manifest.json", R"("compiler": ")", R"("compiler": "another )");
  const RunDifference made = reproduce(runs.folder("b"), "", 12);
  CHECK(made.first_step == 0);
  REQUIRE(made.settings.size() == 1);
  CHECK(made.settings[0].name == "environment.compiler");
}

TEST_CASE("steps that were made with other settings than the first are not reproduced") {
  const Runs runs;
  TrainingConfig s = runs.settings("a");
  s.run.rounds = 1;
  runs.train(s);
  s.run.rounds = 2;
  s.schedule.learning_rate *= 2;
  runs.train(s);
  CHECK(reproduce(runs.folder("a"), "", 12).first_step == 0);
  CHECK(reproduce(runs.folder("a"), "", 12).steps_compared == 4);
}

TEST_CASE("a run is reproduced at the level it was trained at, which the record knows") {
  const Runs runs;
  runs.train(runs.settings("a"));
  CHECK(recorded_isa(runs.folder("a")) == best_isa());
  if (best_isa() == Isa::plain) return;
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(reproduce(runs.folder("a"), "", 6),
                       Contains("[repro] expected the process to be at the level that"), Error);
  CHECK(isa() == Isa::plain);
  set_isa(best_isa());
  CHECK(reproduce(runs.folder("a"), "", 6).first_step == 0);
}

TEST_CASE("runs that read their texts in two ways are told so") {
  const Runs runs;
  runs.train(runs.settings("a"));
  runs.train(runs.settings("b"));
  const auto reading = [&] { return compare_runs(runs.folder("a"), runs.folder("b")).reading; };
  CHECK_FALSE(reading().has_value());
  runs.edit("b", "manifest.json", "enwik8, newlines kept", "enwik8, newlines dropped");
  REQUIRE(reading().has_value());
  CHECK(reading()->a == "enwik8, newlines kept (V 8)");
  CHECK(reading()->b == "enwik8, newlines dropped (V 8)");
  // A record of an earlier version tells the kinds of token alone.
  runs.edit("b", "manifest.json", "\"reading\"", "\"unknown to it\"");
  CHECK_FALSE(reading().has_value());
  runs.edit("b", "manifest.json", R"("vocabulary": 8)", R"("vocabulary": 204)");
  REQUIRE(reading().has_value());
  CHECK(reading()->a == "V 8");
  CHECK(reading()->b == "V 204");
}

TEST_CASE("what cannot be compared or reproduced says why") {
  const Runs runs;
  CHECK_THROWS_WITH_AS(compare_runs(runs.folder("none"), runs.folder("none")),
                       Contains("manifest.json"), Error);
  runs.train(runs.settings("a"));
  CHECK_THROWS_WITH_AS(reproduce(runs.folder("a"), "", 1),
                       Contains("[diff] expected steps that both runs recorded"), Error);
  const Corpus other = corpus_of(runs.folder("other"), letters(2));
  CHECK_THROWS_WITH_AS(reproduce(runs.folder("a"), (runs.folder("other") / "corpus").string(), 6),
                       Contains("give the right run.data"), Error);
  runs.edit("a", "manifest.json", R"("text_sha256": )", R"("text_sha256": 1, "was": )");
  CHECK_THROWS_WITH_AS(reproduce(runs.folder("a"), "", 6), Contains("give the right run.data"),
                       Error);
}

}  // namespace
}  // namespace adaspan
