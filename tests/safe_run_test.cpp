// SPDX-License-Identifier: MIT
// Runs with all that keeps them safe: schedules, skipped steps, averages, patience; and what of it
// is in their files.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/run/loaded_model.h"
#include "adaspan/train/run/metrics.h"
#include "adaspan/train/run/run.h"
#include "adaspan/train/run/run_difference.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Told {
  std::string notes;
  int64_t done = -1, ended = -1, steps = 0, skipped = 0;
};

/// Writes down what it is told; asks to stop after a step.
struct Witness : RunObserver {
  explicit Witness(int64_t last = -1) : last_step(last) {}
  void noted(const std::string& line) override { told.notes += line + "\n"; }
  void already_done(int64_t step) override { told.done = step; }
  void stepped(const StepReport& report, double) override {
    told.steps += 1;
    told.skipped += report.skipped;
    stop = report.step == last_step;
  }
  void ended_early(int64_t step) override { told.ended = step; }

  int64_t last_step;
  std::atomic<bool> stop = false;
  Told told;
};

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// All options on; about every third step is skipped once the mean of the norms is known.
TrainingConfig safe_config(SpanKind kind) {
  TrainingConfig c = tiny_config(kind);
  c.model.dropout = 0.2f;
  c.batch.split = 2;
  c.optimizer.kind = OptimizerKind::adam;
  c.optimizer.average = 0.95;
  c.schedule = {.learning_rate = 0.003,
                .warmup = 12,
                .stages = {{110, false, 1}, {40, false, 0.5}},
                .shape = ScheduleShape::cosine,
                .least_share = 0.1};
  c.run.divergence = {.action = OnDivergence::skip, .most_skips = 50, .factor = 1.01};
  c.run.total_steps = 150;
  c.run.steps_per_round = 30;
  c.run.patience = 100;
  return c;
}

struct Place : RunPlace {
  TrainingConfig config(const char* run, TrainingConfig c) const {
    c.run.checkpoint = (folder / run / "c.safetensors").string();
    c.run.data = (folder / "corpus").string();
    c.run.log_steps = 1;
    return c;
  }
  Told go(const TrainingConfig& c, int64_t last = -1) const {
    Trainer one = trainer(c);
    Witness witness(last);
    run(one, witness, witness.stop);
    return witness.told;
  }
};

TEST_CASE("a run with everything on goes on with the same bits, also between skipped steps") {
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    const RunPlace place;
    const TrainingConfig s = safe_config(kind);
    Trainer whole = place.trainer(s);
    std::vector<bool> skipped;
    int between = 0;
    for (int i = 0; i < 150; ++i) {
      skipped.push_back(whole.step().skipped);
      if (i % 30 == 29) whole.validate();
    }
    CHECK(std::ranges::count(skipped, true) > 5);
    const fs::path end = place.folder / "end", other = place.folder / "other";
    save_checkpoint(end, whole);
    // Stopped after every few steps, wherever that is.
    const auto fresh = [&] { return std::unique_ptr<Trainer>(new Trainer(place.trainer(s))); };
    std::unique_ptr<Trainer> part = fresh();
    for (int i = 0; i < 150; ++i) {
      CHECK(part->step().skipped == skipped[static_cast<size_t>(i)]);
      if (i % 30 == 29) part->validate();
      if (i % 7 != 0) continue;
      between += skipped[static_cast<size_t>(i)];
      save_checkpoint(place.path, *part);
      part = fresh();
      load_checkpoint(place.path, *part);
    }
    CHECK(between > 0);
    save_checkpoint(other, *part);
    CHECK(read_text(end) == read_text(other));
    CHECK(read_header(open_checkpoint(end)).progress.guard.skips ==
          std::ranges::count(skipped, true));
  }
}

TEST_CASE("a run that was stopped among skips has the metrics and files of one that was not") {
  const Place place;
  const TrainingConfig c = safe_config(SpanKind::adaptive);
  place.go(place.config("whole", c));
  const TrainingConfig broken = place.config("broken", c);
  for (int64_t last : {40, 105, 118, 127}) place.go(broken, last);
  place.go(broken);
  const RunDifference found = compare_runs(place.folder / "whole", place.folder / "broken");
  CHECK(found.first_step == 0);
  CHECK(found.steps_compared == 155);
  CHECK(read_text(place.folder / "whole" / "c.safetensors") ==
        read_text(place.folder / "broken" / "c.safetensors"));
  CHECK(reproduce(place.folder / "whole", "", 150).first_step == 0);
}

TEST_CASE("skipped steps are noted, counted and in the metrics, with null for what is no number") {
  const Place place;
  TrainingConfig c = safe_config(SpanKind::adaptive);
  c.optimizer = {.kind = OptimizerKind::sgd};
  c.schedule = {.learning_rate = 0.1, .stages = {{5, false, 1}, {20, false, 1e30}}};
  c.run.divergence = {.action = OnDivergence::skip, .most_skips = 3};
  c.run.steps_per_round = 5;
  c.run.total_steps = 25;
  const TrainingConfig first = place.config("run", c);
  Witness witness;
  Trainer trainer = place.trainer(first);
  CHECK_THROWS_WITH_AS(run(trainer, witness, witness.stop), Contains("3 skipped in a row"), Error);
  CHECK(witness.told.skipped == 3);
  CHECK(has(witness.told.notes, "step 7 skipped, which made no update: loss nan"));
  CHECK(has(witness.told.notes, "3 in a row, 3 in all"));
  const std::vector<ordered_json> lines = read_metrics(place.folder / "run" / "metrics.jsonl");
  const ordered_json& last = lines.back();
  CHECK(last["step"] == 9);
  CHECK(last["skipped"] == true);
  CHECK(last["skips"] == 3);
  CHECK(last["loss"].is_null());
  CHECK(last["bpc"].is_null());
  CHECK(last["grad_norm"].is_null());
  CHECK_FALSE(lines[3].contains("skipped"));
  CHECK(reproduce(place.folder / "run", "", 9).first_step == 0);
}

TEST_CASE("patience ends a run, which is then at its end, until there is more of it") {
  const Place place;
  TrainingConfig c = tiny_config();
  c.schedule.learning_rate = 0;  // no validation is better than the first
  c.run.steps_per_round = 2;
  c.run.total_steps = 40;
  c.run.patience = 3;
  TrainingConfig own = place.config("run", c);
  const Told first = place.go(own);
  CHECK(first.ended == 8);
  CHECK(first.steps == 8);
  CHECK(first.notes.empty());
  CHECK(read_metrics(place.folder / "run" / "metrics.jsonl").back()["without_best"] == 3);
  CHECK(read_header(open_checkpoint(own.run.checkpoint)).progress.losses.without_best == 3);
  const Told again = place.go(own);
  CHECK(again.done == 8);
  CHECK(again.steps == 0);
  own.run.patience = 5;
  CHECK(place.go(own).ended == 12);
  own.run.patience = 0;
  const Told off = place.go(own);
  CHECK(off.ended == -1);
  CHECK(off.steps == 28);
}

TEST_CASE("a better validation gives new patience, and rolling ones are warned of") {
  const RunPlace place;
  TrainingConfig s = tiny_config();
  s.run.patience = 2;
  Trainer trainer = place.trainer(s);
  trainer.validate();
  CHECK(trainer.validate().without_best == 1);
  for (int i = 0; i < 8; ++i) trainer.step();
  CHECK(trainer.validate().best);
  CHECK(trainer.losses().without_best == 0);
  CHECK_FALSE(trainer.out_of_patience());
  trainer.validate();
  CHECK(trainer.validate().without_best == 2);
  CHECK(trainer.out_of_patience());
  trainer.forget_best();
  CHECK_FALSE(trainer.out_of_patience());

  const Place other;
  s.run.validation = ValidationMode::rolling;
  s.run.total_steps = 2;
  CHECK(has(other.go(other.config("run", s)).notes, "rolling validations read other text"));
}

TEST_CASE(
    "a schedule that comes down is noted to go on along another curve where a run is longer") {
  const Place place;
  TrainingConfig c = tiny_config();
  c.run.steps_per_round = 2;
  c.run.total_steps = 4;
  TrainingConfig own = place.config("run", c);
  place.go(own);
  own.run.total_steps = 6;
  CHECK_FALSE(has(place.go(own).notes, "curve"));  // it was flat
  own.schedule.shape = ScheduleShape::linear;
  own.run.total_steps = 8;
  CHECK(has(place.go(own).notes, "comes down over 8 steps now, over 6 before"));
}

TEST_CASE("an average begins with the weights where a run goes on with one, and can be dropped") {
  const Place place;
  TrainingConfig c = tiny_config();
  c.run.steps_per_round = 2;
  c.run.total_steps = 4;
  TrainingConfig own = place.config("run", c);
  place.go(own);
  const fs::path path = own.run.checkpoint;
  CHECK_THROWS_WITH_AS(load_model(path, Weights::ema),
                       Contains("[checkpoint] expected averaged weights in "), Error);

  own.optimizer.average = 0.5;
  own.schedule.learning_rate = 0;  // the weights stay, and so does their average
  own.run.total_steps = 6;
  CHECK(has(place.go(own).notes, "the average of the weights begins with those of step 4"));
  for (const char* name : {"key_pe", "layers.1.ff.fc1.weight"}) {
    const SafetensorsFile file = open_checkpoint(path);
    CHECK(same_bits(file.tensor(average_name(name)), file.tensor(name)));
  }
  CHECK(load_model(path, Weights::ema).header.progress.averaged == 2);

  own.optimizer.average = 0;
  own.run.total_steps = 8;
  CHECK(has(place.go(own).notes, "the average of the weights is dropped"));
  CHECK_THROWS_AS(load_model(path, Weights::ema), Error);
}

TEST_CASE("a model of averaged weights is another than that of the last ones, the best one, too") {
  const Place place;
  TrainingConfig c = tiny_config(SpanKind::adaptive);
  c.optimizer.average = 0.9;
  c.run.steps_per_round = 4;
  c.run.total_steps = 8;
  const TrainingConfig own = place.config("run", c);
  place.go(own);
  for (const char* name : {"c.safetensors", "best.safetensors"}) {
    const fs::path path = place.folder / "run" / name;
    const SafetensorsFile file = open_checkpoint(path);
    const LoadedModel last = load_model(path), ema = load_model(path, Weights::ema);
    for (const Parameter* p : ema.model->parameters().all()) {
      CHECK(same_bits(p->value(), file.tensor("ema." + p->name())));
    }
    CHECK(evaluate_part(last, place.corpus, Part::test).loss !=
          evaluate_part(ema, place.corpus, Part::test).loss);
  }
}

TEST_CASE("a new run that begins with another's weights takes the last ones") {
  const Place place;
  TrainingConfig c = tiny_config();
  c.optimizer.average = 0.9;
  c.run.steps_per_round = c.run.total_steps = 4;
  const TrainingConfig source = place.config("source", c);
  place.go(source);
  c.run.init_from = source.run.checkpoint;
  c.schedule.learning_rate = 0;
  const TrainingConfig own = place.config("own", c);
  place.go(own);
  const SafetensorsFile from = open_checkpoint(source.run.checkpoint),
                        to = open_checkpoint(own.run.checkpoint);
  for (const char* name : {"key_pe", "layers.0.ff.fc2.bias"}) {
    CHECK(same_bits(to.tensor(name), from.tensor(name)));
    CHECK(same_bits(to.tensor(average_name(name)), from.tensor(name)));
  }
}

TEST_CASE("runs whose averages alone differ do not pass for the same") {
  const Place place;
  TrainingConfig c = tiny_config();
  c.run.steps_per_round = c.run.total_steps = 4;
  c.optimizer.average = 0.9;
  place.go(place.config("a", c));
  c.optimizer.average = 0.2;
  place.go(place.config("b", c));
  const RunDifference found = compare_runs(place.folder / "a", place.folder / "b");
  CHECK(found.first_step == 4);
  REQUIRE_FALSE(found.numbers.empty());
  CHECK(std::ranges::all_of(found.numbers,
                            [](const Difference& d) { return d.name.starts_with("ema."); }));
  // Trained again as the manifest says, which is of a; but the checkpoint is b's.
  fs::copy_file(place.folder / "b" / "c.safetensors", place.folder / "a" / "c.safetensors",
                fs::copy_options::overwrite_existing);
  CHECK(reproduce(place.folder / "a", "", 4).first_step == 4);
}

TEST_CASE("damaged counts in a checkpoint are refused") {
  const Place place;
  const TrainingConfig s = safe_config(SpanKind::adaptive);
  Trainer trainer = place.trainer(s);
  for (int i = 0; i < 3; ++i) trainer.step();
  save_checkpoint(place.path, trainer);
  const SafetensorsFile file(place.path);
  const auto refused = [&](const char* part, const char* key, const ordered_json& value) {
    std::map<std::string, std::string> metadata = file.metadata();
    ordered_json progress = ordered_json::parse(metadata["progress"]);
    (*part ? progress[part] : progress)[key] = value;
    metadata["progress"] = progress.dump();
    const Tensor some = Tensor::zeros({1});
    const fs::path damaged = place.folder / "damaged";
    write_safetensors(damaged, {{"some", &some}}, metadata);
    CHECK_THROWS_WITH_AS(read_header(SafetensorsFile(damaged)), Contains("the file is damaged"),
                         Error);
  };
  refused("guard", "skips", -1);
  refused("guard", "skips", 4);
  refused("guard", "in_a_row", 1.5);
  refused("guard", "mean_log_gradient_norm", "long");
  refused("", "averaged", -1);
  refused("losses", "without_best", -1);
  refused("span_doctor", "steps", "many");
  refused("span_doctor", "gradients", 3);
}

}  // namespace
}  // namespace adaspan
