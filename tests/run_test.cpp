// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/metrics.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using Events = std::vector<std::string>;

/// Writes down what it is told; asks to stop after a step.
struct Witness : RunObserver {
  explicit Witness(int64_t last) : last_step(last) {}
  void started(const std::optional<Resumption>& from,
               const nlohmann::ordered_json& entry) override {
    events.push_back("started " + entry.at("step").dump());
    if (from) changed = from->changed;
    resumed = from.has_value();
  }
  void stepped(const StepReport& report, double tokens_per_second) override {
    events.push_back(std::to_string(report.step));
    CHECK(tokens_per_second > 0);
    stop = report.step == last_step;
  }
  void validated(const ValidationReport& report) override {
    // What a reader of the line may count on.
    CHECK(read_header(open_checkpoint(checkpoint)).progress.step == report.step);
    events.push_back("validated " + std::to_string(report.step));
  }
  void saved(const std::filesystem::path& path, int64_t step) override {
    CHECK(read_header(open_checkpoint(path)).progress.step == step);
    events.push_back("saved " + std::to_string(step));
  }
  void stopped(int64_t step) override { events.push_back("stopped " + std::to_string(step)); }

  std::filesystem::path checkpoint;
  int64_t last_step;
  std::atomic<bool> stop = false;
  Events events;
  bool resumed = false;
  std::vector<FieldChange> changed;
};

struct RunsOnce : RunPlace {
  TrainingConfig config() const {
    TrainingConfig c = run_config();
    c.run.checkpoint = (folder / "run" / "c.safetensors").string();
    c.run.steps_per_round = 2;
    c.run.rounds = 2;
    c.run.log_steps = 1;
    return c;
  }
  bool go(const TrainingConfig& c, Witness& witness) const {
    Trainer run_trainer = trainer(c);
    witness.checkpoint = c.run.checkpoint;
    return run(run_trainer, witness, witness.stop);
  }
};

TEST_CASE("an observer is told what happens, in its order") {
  const RunsOnce place;
  Witness witness(-1);
  CHECK(place.go(place.config(), witness));
  CHECK(witness.events == Events{"started 0", "1", "2", "validated 2", "saved 2", "3", "4",
                                 "validated 4", "saved 4"});
  CHECK_FALSE(witness.resumed);
}

TEST_CASE("a run that is asked to stop saves, says so, and goes on with the same numbers") {
  const RunsOnce place, whole;
  Witness first(3), second(-1), undisturbed(-1);
  CHECK_FALSE(place.go(place.config(), first));
  CHECK(first.events ==
        Events{"started 0", "1", "2", "validated 2", "saved 2", "3", "saved 3", "stopped 3"});
  CHECK(place.go(place.config(), second));
  CHECK(second.events == Events{"started 3", "4", "validated 4", "saved 4"});
  CHECK(second.resumed);
  CHECK(second.changed.empty());

  CHECK(whole.go(whole.config(), undisturbed));
  const auto file = [](const RunsOnce& one) { return read_text(one.config().run.checkpoint); };
  CHECK(file(place) == file(whole));
  CHECK(read_metrics(place.folder / "run" / "metrics.jsonl").size() == 7);  // 1 + 4 + 2
}

TEST_CASE("the clock of a run that goes on goes on, in one object of each line") {
  const RunsOnce place;
  Witness first(3), second(-1);
  place.go(place.config(), first);
  place.go(place.config(), second);
  double seconds = 0;
  for (const auto& line : read_metrics(place.folder / "run" / "metrics.jsonl")) {
    if (line.contains("configuration")) continue;
    REQUIRE(line.contains("clock"));
    CHECK(line["clock"]["seconds"].get<double>() > seconds);
    seconds = line["clock"]["seconds"].get<double>();
    CHECK(line["clock"]["memory_mb"].get<double>() > 1);
    CHECK(line["clock"].contains("tokens_per_s") == !line.contains("valid_loss"));
    CHECK(line.contains("clipped") == !line.contains("valid_loss"));
  }
  CHECK(seconds > 0);
}

TEST_CASE("what has changed since a checkpoint is told, the instructions too") {
  const RunsOnce place;
  Witness first(-1), second(-1);
  place.go(place.config(), first);
  TrainingConfig c = place.config();
  c.run.rounds = 3;
  c.run.log_steps = 2;  // of which no number depends
  set_isa(Isa::plain);
  place.go(c, second);
  set_isa(best_isa());
  REQUIRE(second.changed.size() == (best_isa() == Isa::plain ? 1 : 2));
  CHECK(std::string(second.changed[0].field.name) == "niter");
  CHECK(second.changed[0].now == "3");
  if (best_isa() == Isa::plain) return;
  CHECK(std::string(second.changed[1].field.name) == "isa");
  CHECK(second.changed[1].now == "\"plain\"");
}

TEST_CASE("a run needs a place for its checkpoint") {
  const RunsOnce place;
  TrainingConfig c = place.config();
  c.run.checkpoint.clear();
  Witness witness(-1);
  CHECK_THROWS_WITH_AS(place.go(c, witness),
                       "[run] expected run.checkpoint with the name of a file; got none", Error);
}

}  // namespace
}  // namespace adaspan
