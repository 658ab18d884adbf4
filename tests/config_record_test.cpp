// SPDX-License-Identifier: MIT
#include "adaspan/train/run/config_record.h"

#include <doctest/doctest.h>

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::ordered_json;

/// No field has its default.
TrainingConfig unusual_config() {
  TrainingConfig c;
  for_each_field(c, [](const Field& field, auto&& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>) {
      value = std::string("a \"") + field.name + "\"";
    } else if constexpr (std::is_same_v<T, bool>) {
      value = !value;
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = value * 3 + static_cast<T>(1.25);
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      value = {3, 70};
    }
  });
  c.schedule.stages = {{150, true, 1}, {20000, false, 0.1}};
  c.model.span_kind = SpanKind::dynamic;
  c.model.precision = DType::bf16;
  c.model.cache_precision = CachePrecision::bf16;
  c.optimizer.kind = OptimizerKind::adam;
  c.schedule.shape = ScheduleShape::inverse_sqrt;
  c.run.divergence.action = OnDivergence::skip;
  c.run.data_unit = DataUnit::ppl;
  c.run.validation = ValidationMode::rolling;
  return c;
}

bool same(const TrainingConfig& a, const TrainingConfig& b) {
  return to_json(a) == to_json(b);
}

std::string text_of(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The message that check() refuses a configuration with, after one field was set.
std::string refusal(const std::string& name, const std::string& value) {
  try {
    TrainingConfig c;
    assign(c, name, value);
    check(c);
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

TEST_CASE("every field can be given as text") {
  const TrainingConfig unusual = unusual_config();
  TrainingConfig c;
  const ordered_json before = to_json(c), wanted = to_json(unusual);
  for (const Field& field : fields()) {
    CAPTURE(field.name);
    if (std::string(field.name) != "adapt-span") CHECK(before[field.name] != wanted[field.name]);
    assign(c, field.name, text_of(wanted[field.name]));
  }
  CHECK(same(c, unusual));
}

TEST_CASE("every field survives JSON, under the names of the paper's program") {
  const TrainingConfig unusual = unusual_config();
  CHECK(same(config_from_json(ordered_json::parse(to_json(unusual).dump())), unusual));
  const ordered_json json = to_json(TrainingConfig());
  CHECK(json.at("inner-hid-sz") == 1024);
  CHECK(json.at("adapt-span") == false);
  CHECK(json.at("dropout").dump() == "0.2");  // a float, not the double next to it
}

TEST_CASE("names and paths are those of one field each") {
  std::set<std::string> names, paths;
  for (const Field& field : fields()) {
    names.insert(field.name);
    paths.insert(field.path);
  }
  CHECK(names.size() == fields().size());
  CHECK(paths.size() == fields().size());
}

TEST_CASE("the kind of span is two truth values; dynamic wins in whatever order they come") {
  const auto kind = [](const char* json) {
    return config_from_json(ordered_json::parse(json)).model.span_kind;
  };
  CHECK(kind(R"({})") == SpanKind::fixed);
  CHECK(kind(R"({"adapt-span":true})") == SpanKind::adaptive);
  CHECK(kind(R"({"adapt-span":true,"dynamic-span":false})") == SpanKind::adaptive);
  CHECK(kind(R"({"adapt-span":true,"dynamic-span":true})") == SpanKind::dynamic);
  CHECK(kind(R"({"dynamic-span":true,"adapt-span":true})") == SpanKind::dynamic);
  CHECK(kind(R"({"dynamic-span":true,"adapt-span":false})") == SpanKind::dynamic);
}

TEST_CASE("records of earlier versions have names that a configuration has no field for") {
  const auto json =
      ordered_json::parse(R"({"nlayers":3,"threads":2,"isa":"avx2","full-eval-mode":false})");
  CHECK(config_from_json(json).model.layers == 3);
  TrainingConfig c;
  CHECK_THROWS_AS(assign(c, "threads", "2"), Error);
}

TEST_CASE("a field that does not exist is refused") {
  TrainingConfig c;
  CHECK_THROWS_WITH_AS(assign(c, "layers", "3"),
                       "[settings] expected the name of a setting; got \"layers\"", Error);
  CHECK_THROWS_WITH_AS(config_from_json({{"layers", 3}}),
                       "[settings] expected the name of a setting; got \"layers\"", Error);
}

TEST_CASE("a value of the wrong kind is refused by its path and changes nothing") {
  TrainingConfig c;
  const auto refuse = [&](const char* name, const char* path, const char* text, const char* kind) {
    CAPTURE(text);
    const std::string expected =
        fmt::format("[settings] expected {} to be {}; got \"{}\"", path, kind, text);
    CHECK_THROWS_WITH_AS(assign(c, name, text), expected.c_str(), Error);
  };
  for (const char* text : {"", "two", "2.5", "2x", " 2", "99999999999999999999"}) {
    refuse("nlayers", "model.layers", text, "a whole number");
  }
  for (const char* text : {"", "high", "0.1.", "nan", "inf", "1e999"}) {
    refuse("lr", "schedule.learning_rate", text, "a number");
    refuse("dropout", "model.dropout", text, "a number");
  }
  refuse("dropout", "model.dropout", "1e99", "a number");  // that a float can hold
  for (const char* text : {"", "1", "yes", "True"}) {
    refuse("adapt-span", "model.span_kind.adaptive", text, "true or false");
    refuse("exact-split", "batch.exact_split", text, "true or false");
  }
  for (const char* text : {"", ",", "3,", ",3", "3;4", "3 4", "[3]", "3,4.5"}) {
    refuse("adapt-io-cutoffs", "model.adaptive_io.cutoffs", text,
           "whole numbers with commas between them");
  }
  refuse("data", "run.data", "caf\xe9", "a text in UTF-8");
  refuse("optim", "optimizer.kind", "lion", "sgd, adagrad or adam");
  refuse("data-unit", "run.data_unit", "bits", "bpc or ppl");
  refuse("stages", "schedule.stages", "5@0",
         "lengths of at least 1 and factors above 0, as 150000@1,20000@0.1");
  refuse("precision", "model.precision", "auto", "f32 or bf16");
  refuse("precision", "model.precision", "i32", "f32 or bf16");
  refuse("cache-precision", "model.cache_precision", "f16", "f32, bf16 or auto");
  CHECK(same(c, TrainingConfig()));
}

TEST_CASE("a record with a list or an object is refused") {
  for (const char* value : {"[1]", "{}"}) {
    const auto json = ordered_json::parse(fmt::format(R"({{"data":{}}})", value));
    CHECK_THROWS_WITH_AS(config_from_json(json), Contains("for run.data; got a list or object"),
                         Error);
  }
}

TEST_CASE("fields that a record lacks have their defaults") {
  TrainingConfig given;
  given.model.layers = 7;
  ordered_json json = to_json(given);
  json.erase("batch-split");
  json.erase("stages");
  json.erase("cache-precision");
  json.erase("recompute");
  const TrainingConfig c = config_from_json(json);
  CHECK(c.model.layers == 7);
  CHECK(c.schedule.stages.empty());
  CHECK(c.batch.split == 1);
  CHECK_FALSE(c.batch.recompute);
  CHECK(c.model.cache_precision == CachePrecision::of_activations);
}

TEST_CASE("cut-offs are a text in records, and a record before them has none in use") {
  TrainingConfig c;
  assign(c, "adapt-io-cutoffs", "20, 400,7000");
  CHECK(c.model.adaptive_io.cutoffs == std::vector<int64_t>{20, 400, 7000});
  CHECK(to_json(c).at("adapt-io-cutoffs") == "20,400,7000");
  CHECK(to_json(TrainingConfig()).at("adapt-io-cutoffs") == "20000,40000,200000");
  ordered_json old = to_json(c);
  for (const char* name : {"adapt-io", "adapt-io-tied", "adapt-io-divval", "adapt-io-cutoffs"}) {
    old.erase(name);
  }
  CHECK_FALSE(config_from_json(old).model.adaptive_io.on);
}

TEST_CASE("clusters fit together before the vocabulary is known, or are refused") {
  TrainingConfig c;
  c.model.adaptive_io.on = true;
  CHECK_NOTHROW(check(c));
  c.model.adaptive_io.cutoffs = {5, 4};
  CHECK_THROWS_WITH_AS(check(c), Contains("[model] expected rising numbers"), Error);
  c.model.adaptive_io.cutoffs.clear();
  CHECK_THROWS_WITH_AS(check(c), Contains("[model] expected 1 to 15 numbers"), Error);
  c.model.adaptive_io.cutoffs = {3, int64_t{1} << 40};
  CHECK_THROWS_WITH_AS(check(c), Contains("[settings] expected numbers of at most"), Error);
}

TEST_CASE("a record leaves out what no weight depends on") {
  TrainingConfig c;
  c.run.checkpoint = "x";
  const auto recorded = recorded_json(c);
  for (const Field& field : fields()) {
    CAPTURE(field.name);
    CHECK(recorded.contains(field.name) == (field.role != Role::local));
  }
  c.batch.exact_split = true;
  CHECK_FALSE(recorded_json(c).contains("batch-split"));
}

TEST_CASE("changes are told with their role, before and now") {
  TrainingConfig before, now;
  CHECK(changes(recorded_json(before), now).empty());
  now.model.layers = 3;
  now.schedule.learning_rate = 0.5;
  now.optimizer.kind = OptimizerKind::adam;
  now.run.log_steps = 7;  // not recorded
  const std::vector<FieldChange> all = changes(recorded_json(before), now);
  REQUIRE(all.size() == 3);
  CHECK(std::string(all[0].field.name) == "nlayers");
  CHECK(all[0].field.role == Role::fixed);
  CHECK(all[0].before == "8");
  CHECK(all[0].now == "3");
  CHECK(all[1].now == "\"adam\"");
  CHECK(std::string(all[2].field.path) == "schedule.learning_rate");
  CHECK(all[2].field.role == Role::changeable);
  CHECK(all[2].before == "0.03");
}

TEST_CASE("the defaults fit together") {
  CHECK_NOTHROW(check(TrainingConfig()));
}

TEST_CASE("what no record could hold is refused by its path, in whatever field") {
  const auto refused = [](const char* path, const auto& change) {
    TrainingConfig config;
    change(config);
    CAPTURE(path);
    CHECK_THROWS_WITH_AS(check(config), Contains(path), Error);
  };
  const double infinite = std::numeric_limits<double>::infinity();
  refused("optimizer.grad_clip", [&](auto& c) { c.optimizer.grad_clip = infinite; });
  refused("schedule.learning_rate", [&](auto& c) { c.schedule.learning_rate = infinite; });
  refused("model.span_loss", [&](auto& c) { c.model.span_loss = static_cast<float>(infinite); });
  refused("model.dropout", [](auto& c) { c.model.dropout = std::nanf(""); });
  refused("model.precision", [](auto& c) { c.model.precision = DType::i32; });
  refused("model.span_kind", [](auto& c) { c.model.span_kind = static_cast<SpanKind>(7); });
  refused("optimizer.kind", [](auto& c) { c.optimizer.kind = static_cast<OptimizerKind>(9); });
  refused("run.data_unit", [](auto& c) { c.run.data_unit = static_cast<DataUnit>(9); });
  refused("run.data", [](auto& c) { c.run.data = "\xff\xfe"; });
  refused("run.rounds times run.steps_per_round",
          [](auto& c) { c.run.rounds = c.run.steps_per_round = 1 << 30; });
}

TEST_CASE("fields out of range are refused by their path") {
  const auto path_of = [](const char* name) {
    for (const Field& field : fields()) {
      if (std::string(field.name) == name) return std::string(field.path);
    }
    return std::string();
  };
  for (const char* name :
       {"batch-sz", "batch-split", "block-sz", "nbatches", "niter", "log-steps", "keep-last"}) {
    CHECK(refusal(name, "0") ==
          fmt::format("[settings] expected {} of at least 1; got 0", path_of(name)));
  }
  for (const char* name : {"lr-warmup", "lr", "momentum", "grad-clip", "seed"}) {
    CHECK(refusal(name, "0") == "none");
    CHECK(refusal(name, "-1") ==
          fmt::format("[settings] expected {} of at least 0; got -1", path_of(name)));
  }
  for (const char* name :
       {"nlayers", "hid-sz", "inner-hid-sz", "nheads", "attn-span", "adapt-span-ramp"}) {
    CHECK(refusal(name, "0").starts_with("[model] expected "));
  }
  for (const char* name : {"nlayers", "attn-span", "adapt-span-ramp", "nbatches", "niter"}) {
    CHECK(refusal(name, "4611686018427387904") ==
          fmt::format("[settings] expected {} of at most 1073741824; got 4611686018427387904",
                      path_of(name)));
  }
  CHECK(refusal("seed", "4611686018427387904") == "none");
  CHECK(refusal("dropout", "1").starts_with("[model] expected "));
  CHECK(refusal("adapt-span-init", "1") == "none");
}

TEST_CASE("fields that do not fit each other are refused") {
  CHECK(refusal("batch-split", "3") ==
        "[settings] expected batch.split to divide batch.sequences; got 3 parts of 64");
  CHECK(refusal("nheads", "3").starts_with("[model] expected "));
  TrainingConfig c;
  c.batch = {.sequences = 64, .split = 16, .exact_split = true};
  CHECK_THROWS_WITH_AS(check(c),
                       "[settings] expected batch.split to divide 8, the parts of "
                       "batch.exact_split at batch.sequences 64; got 16",
                       Error);
}

TEST_CASE("a batch is worked on in the parts asked for, or in those that are always the same") {
  BatchConfig batch;
  batch.split = 2;
  CHECK(batch.parts() == 2);
  batch.exact_split = true;
  for (const auto& [sequences, parts] :
       std::map<int64_t, int64_t>{{64, 8}, {8, 8}, {12, 4}, {6, 2}, {7, 1}, {1, 1}}) {
    batch.sequences = sequences;
    CHECK(batch.parts() == parts);
  }
}

TEST_CASE("losses are shown in bits or as a perplexity") {
  CHECK(in_unit(std::log(2.0), DataUnit::bpc) == doctest::Approx(1));
  CHECK(in_unit(std::log(2.0), DataUnit::ppl) == doctest::Approx(2));
}

}  // namespace
}  // namespace adaspan
