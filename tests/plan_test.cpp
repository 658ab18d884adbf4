// SPDX-License-Identifier: MIT
#include "app/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "adaspan/core/error.h"
#include "adaspan/models/span.h"
#include "app/bench/step_time.h"

namespace adaspan {
namespace {

constexpr int64_t kValidTokens = 100'000;

TrainingConfig small_config() {
  TrainingConfig c;
  c.model = {.vocabulary = 50,
             .layers = 2,
             .hidden = 32,
             .inner = 64,
             .heads = 2,
             .span_limit = 64,
             .span_kind = SpanKind::adaptive,
             .adapt_cache = true,
             .dropout = 0};
  c.batch.sequences = 8;
  c.batch.block = 32;
  c.run.rounds = 7;
  c.run.steps_per_round = 100;
  return c;
}

MemoryState machine_with(double bytes) {
  return {.free = {{MemoryLimit::machine, static_cast<int64_t>(bytes)}}, .resident = 0};
}

Plan plan_with(const TrainingConfig& c, double bytes) {
  return plan_of(c, starting_spans(c.model), kValidTokens, machine_with(bytes), /*measure=*/false);
}

double need_of(const TrainingConfig& c) {
  return training_need(c, starting_spans(c.model)).total();
}

TEST_CASE("the memory of a plan is what a start is refused by") {
  const TrainingConfig c = small_config();
  for (const double share : {0.5, 0.99, 1.01, 2.0}) {
    CAPTURE(share);
    const Plan plan = plan_with(c, share * need_of(c));
    bool refused = false;
    try {
      require_training_memory(c, plan.z, /*going_on=*/false, plan.memory);
    } catch (const OutOfMemory&) {
      refused = true;
    }
    CHECK(plan.ways.front().settings == "as given");
    CHECK(plan.ways.front().lacking.has_value() == refused);
    CHECK(json_of(plan)["fits"] == !refused);
    CHECK(json_of(plan)["bytes"]["total"] == need_of(c));
  }
}

TEST_CASE("a plan offers settings that take less, as flags, and several where one will not do") {
  const TrainingConfig c = small_config();
  const Plan roomy = plan_with(c, 1e12);
  std::set<std::string> offered;
  for (const Way& way : roomy.ways) {
    CHECK_FALSE(way.lacking);
    CHECK(way.need.total() <= roomy.ways.front().need.total());
    CHECK(way.at_full_spans.total() > way.need.total());
    offered.insert(way.settings);
  }
  CHECK(offered.size() == roomy.ways.size());
  CHECK(offered.contains("--batch-split 2"));

  const double smallest = std::ranges::min(roomy.ways, {}, [](const Way& way) {
                            return way.need.total();
                          }).need.total();
  const Plan tight = plan_with(c, smallest - 1e5);
  REQUIRE(tight.ways.size() == roomy.ways.size() + 1);
  CHECK_FALSE(tight.ways.back().lacking);
  CHECK(tight.ways.back().need.total() < smallest);
  CHECK(plan_with(c, 1e6).ways.size() == roomy.ways.size());  // not even the program fits
}

TEST_CASE("the time of a run is that of its steps, and of a validation in each round") {
  TrainingConfig c = small_config();
  Plan plan = plan_with(c, 1e12);
  plan.step = StepTime{.seconds = 2, .sequences = 8};
  // 29 of the 390 blocks of the part cost less than a tenth of a round.
  CHECK(plan.validation_blocks == 29);
  CHECK(plan.seconds_of(700) == doctest::Approx(2 * (700 + 7 * 29 / 3.0)));
  CHECK(plan.seconds_of(650) == doctest::Approx(2 * (650 + 7 * 29 / 3.0)));
  c.run.validation = ValidationMode::rolling;
  CHECK(plan_with(c, 1e12).validation_blocks == 10);
}

TEST_CASE("stages of a plan are together as long as the run") {
  TrainingConfig c = small_config();
  c.schedule.stages = {{.length = 4, .in_rounds = true}, {.length = 100, .lr_factor = 0.1}};
  const nlohmann::ordered_json stages = json_of(plan_with(c, 1e12))["stages"];
  REQUIRE(stages.size() == 2);
  CHECK(stages[0]["steps"] == 400);
  CHECK(stages[1]["steps"] == 300);  // the last one goes on
  CHECK(stages[1]["lr_factor"] == 0.1);
  c.run.total_steps = 250;
  CHECK(json_of(plan_with(c, 1e12))["stages"].size() == 1);
}

TEST_CASE("the time of a step follows from fewer sequences where the batch does not fit") {
  TrainingConfig c = small_config();
  c.batch.sequences = 256;
  const auto z = starting_spans(c.model);
  const auto whole = step_time(c, z, machine_with(1e12));
  REQUIRE(whole);
  CHECK(whole->sequences == 256);
  const auto part = step_time(c, z, machine_with(0.8 * need_of(c)));
  REQUIRE(part);
  CHECK(part->sequences < 256);
  CHECK(part->seconds == doctest::Approx(whole->seconds).epsilon(0.9));  // of the right size
  CHECK_FALSE(step_time(c, z, machine_with(1e6)));
}

}  // namespace
}  // namespace adaspan
