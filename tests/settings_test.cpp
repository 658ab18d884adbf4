// SPDX-License-Identifier: MIT
#include "adaspan/train/run/settings.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

/// No setting has its default.
Settings unusual_settings() {
  Settings s;
  for_each_setting(s, [](const char* name, auto& value, const char*, Role) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>) {
      value = std::string("a \"") + name + "\"";
    } else if constexpr (std::is_same_v<T, bool>) {
      value = !value;
    } else {
      value = value * 3 + static_cast<T>(1.25);
    }
  });
  return s;
}

bool same(const Settings& a, const Settings& b) {
  return to_json(a) == to_json(b);
}

void apply_text(Settings& s, const std::string& text) {
  const TemporaryFolder folder;
  atomic_write(folder / "my.toml", text);
  apply_toml(s, folder / "my.toml");
}

/// The message that check() refuses settings with, after one of them was set.
std::string refusal(const std::string& name, const std::string& value) {
  Settings s;
  assign(s, name, value);
  try {
    check(s);
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

TEST_CASE("every setting can be given as text") {
  const Settings unusual = unusual_settings();
  Settings s;
  CHECK_FALSE(same(s, unusual));
  for_each_setting(unusual, [&](const char* name, const auto& value, const char*, Role) {
    assign(s, name, fmt::format("{}", value));
  });
  CHECK(same(s, unusual));
}

TEST_CASE("every setting survives JSON, and its JSON has the names of the flags") {
  const Settings unusual = unusual_settings();
  CHECK(same(settings_from_json(nlohmann::ordered_json::parse(to_json(unusual).dump())), unusual));
  CHECK(to_json(Settings()).at("inner-hid-sz") == 1024);
  CHECK(to_json(Settings()).at("adapt-span") == false);
}

TEST_CASE("every setting can be given by a TOML file") {
  const Settings unusual = unusual_settings();
  const nlohmann::ordered_json json = to_json(unusual);
  std::string text;
  for (const auto& [name, value] : json.items()) {
    text += fmt::format("{} = {}\n", name, value.dump());
  }
  Settings s;
  apply_text(s, text);
  CHECK(same(s, unusual));
}

TEST_CASE("a TOML file changes only what it names") {
  Settings s;
  s.lr = 7;
  apply_text(s, "# a comment\nnlayers = 3\ndropout = 0\n");
  CHECK(s.nlayers == 3);
  CHECK(s.dropout == 0);
  CHECK(s.lr == 7);
  CHECK(s.nheads == Settings().nheads);
}

TEST_CASE("a setting that does not exist is refused") {
  Settings s;
  CHECK_THROWS_WITH_AS(assign(s, "layers", "3"),
                       "[settings] expected the name of a setting; got \"layers\"; 'adaspan train "
                       "--help' lists them",
                       Error);
  CHECK_THROWS_WITH_AS(settings_from_json({{"layers", 3}}),
                       Contains("[settings] expected the name of a setting; got \"layers\""),
                       Error);
}

TEST_CASE("a value of the wrong kind is refused and changes nothing") {
  Settings s;
  const auto refuse = [&](const char* name, const char* text, const char* kind) {
    CAPTURE(text);
    const std::string expected =
        fmt::format("[settings] expected --{} to be {}; got \"{}\"", name, kind, text);
    CHECK_THROWS_WITH_AS(assign(s, name, text), expected.c_str(), Error);
  };
  for (const char* text : {"", "two", "2.5", "2x", " 2", "99999999999999999999"}) {
    refuse("nlayers", text, "a whole number");
  }
  for (const char* text : {"", "high", "0.1.", "nan", "inf", "1e999"}) {
    refuse("lr", text, "a number");
  }
  for (const char* text : {"", "1", "yes", "True"}) refuse("adapt-span", text, "true or false");
  refuse("data", "caf\xe9", "a text in UTF-8");
}

TEST_CASE("saved settings with a list or an object are refused") {
  for (const char* value : {"[1]", "{}"}) {
    const auto json = nlohmann::ordered_json::parse(fmt::format(R"({{"data":{}}})", value));
    CHECK_THROWS_WITH_AS(settings_from_json(json), Contains("for --data; got a list or object"),
                         Error);
  }
}

TEST_CASE("a TOML file is refused by file, and by line where there is one") {
  Settings s;
  CHECK_THROWS_WITH_AS(apply_toml(s, "/no/such.toml"),
                       "[settings] expected a configuration file at /no/such.toml; got none",
                       Error);
  const auto refuse = [&](const char* text, const char* expected) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(apply_text(s, text), Contains(expected), Error);
  };
  refuse("lr = 0.1\nlr =\n", "[settings] expected TOML in ");
  refuse("lr = 0.1\nlr =\n", "(line 2)");
  refuse("\nlayers = 3\n", "[settings] expected the name of a setting; got \"layers\"");
  refuse("\nlayers = 3\n", "my.toml, line 2)");
  refuse("nlayers = true\n", "[settings] expected --nlayers to be a whole number; got \"true\"");
  refuse("nlayers = \"two\"\n", "to be a whole number; got \"two\"");
  refuse("lr = inf\n", "to be a number; got \"inf\"");
  refuse("adapt-span = 1\n", "to be true or false; got \"1\"");
  refuse("data = [\"a\"]\n", "[settings] expected a text, a number, true or false for --data; ");
  refuse("[lr]\nx = 1\n", "for --lr; got a table or list");
  refuse("data = 2019-05-19\n", "for --data; got a date or time");
}

TEST_CASE("every preset loads, fits together, and says what to expect of it") {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(ADASPAN_PRESETS)) {
    const std::string name = entry.path().stem().string();
    CAPTURE(name);
    Settings s;
    CHECK_NOTHROW(apply_toml(s, entry.path()));
    CHECK_NOTHROW(check(s));
    CHECK_FALSE(s.data.empty());
    CHECK_MESSAGE(read_text(entry.path()).find("# Expect") != std::string::npos,
                  "the comment of a preset states the result to expect");
    ++count;
  }
  CHECK(count >= 5);
}

TEST_CASE("the defaults fit together") {
  CHECK_NOTHROW(check(Settings()));
}

TEST_CASE("settings out of range are refused by their flag") {
  for (const char* name :
       {"batch-sz", "batch-split", "block-sz", "nbatches", "niter", "log-steps"}) {
    CHECK(refusal(name, "0") == fmt::format("[settings] expected --{} of at least 1; got 0", name));
  }
  for (const char* name : {"threads", "lr-warmup", "lr", "momentum", "grad-clip", "seed"}) {
    CHECK(refusal(name, "0") == "none");
    CHECK(refusal(name, "-1") ==
          fmt::format("[settings] expected --{} of at least 0; got -1", name));
  }
  for (const char* name :
       {"nlayers", "hid-sz", "inner-hid-sz", "nheads", "attn-span", "adapt-span-ramp"}) {
    CHECK(refusal(name, "0") == fmt::format("[model] expected --{} of at least 1; got 0", name));
  }
  for (const char* name : {"nlayers", "attn-span", "adapt-span-ramp", "nbatches", "niter"}) {
    CHECK(refusal(name, "4611686018427387904") ==
          fmt::format("[settings] expected --{} of at most 1073741824; got 4611686018427387904",
                      name));
  }
  CHECK(refusal("dropout", "1").starts_with("[model] expected --dropout in [0, 1); got 1"));
  CHECK(refusal("adapt-span-init", "1") == "none");
}

TEST_CASE("settings that do not fit each other are refused") {
  CHECK(refusal("batch-split", "3") ==
        "[settings] expected --batch-split to divide --batch-sz; got 3 parts of 64");
  CHECK(refusal("nheads", "3").starts_with("[model] expected --nheads to divide --hid-sz; got 3"));
}

TEST_CASE("an unknown unit or optimizer is refused") {
  CHECK(refusal("data-unit", "bits") ==
        "[settings] expected --data-unit to be bpc or ppl; got \"bits\"");
  CHECK(refusal("data-unit", "ppl") == "none");
  CHECK(refusal("optim", "lion") ==
        "[settings] expected --optim to be sgd, adagrad or adam; got \"lion\"");
}

TEST_CASE("settings tell the optimizer and the model") {
  Settings s = unusual_settings();
  s.precision = "f32";
  s.adapt_span = s.dynamic_span = false;
  CHECK(model_config(s, 5).span_kind == SpanKind::fixed);
  s.adapt_span = true;
  CHECK(model_config(s, 5).span_kind == SpanKind::adaptive);
  s.dynamic_span = true;
  const ModelConfig model = model_config(s, 5);
  CHECK(model.span_kind == SpanKind::dynamic);
  CHECK(model.vocabulary == 5);
  CHECK(model.inner == s.inner_hid_sz);
  CHECK(model.span_limit == s.attn_span);
  CHECK(model.ramp == s.adapt_span_ramp);
  CHECK(model.adapt_cache == s.adapt_span_cache);
  CHECK(model.embedding_dropout == doctest::Approx(s.emb_dropout));

  for (const auto& [name, kind] : {std::pair{"sgd", OptimizerKind::sgd},
                                   {"adagrad", OptimizerKind::adagrad},
                                   {"adam", OptimizerKind::adam}}) {
    s.optim = name;
    CHECK(optimizer_config(s).kind == kind);
    CHECK(optimizer_config(s).momentum == s.momentum);
    CHECK(optimizer_config(s).grad_clip == s.grad_clip);
  }
}

TEST_CASE("precision is as asked for, and by itself the fastest that can run") {
  Settings s;
  CHECK(s.precision == "auto");
  s.precision = "f32";
  CHECK(precision_of(s) == DType::f32);
  CHECK(model_config(s, 5).precision == DType::f32);
  s.precision = "bf16";
  CHECK(precision_of(s) == DType::bf16);
  for (Isa level : {Isa::plain, best_isa()}) {
    set_isa(level);
    const bool runs = bf16_obstacle().empty();
    s.precision = "auto";
    CHECK(precision_of(s) == (runs ? DType::bf16 : DType::f32));
    CHECK_NOTHROW(check(s));
    if (runs) CHECK(refusal("precision", "bf16") == "none");
  }
  set_isa(Isa::plain);
  CHECK(refusal("precision", "bf16") ==
        "[model] expected --precision f32, since the kernels of level plain compute in f32; got "
        "bf16; use --precision f32 or auto");
  CHECK(refusal("precision", "f32") == "none");
  set_isa(best_isa());
  CHECK(refusal("precision", "half") ==
        "[settings] expected --precision to be f32, bf16 or auto; got \"half\"");
}

TEST_CASE("the level of instructions is named, or the best there is") {
  Settings s;
  CHECK(isa_of(s) == best_isa());
  s.isa = "avx2";
  CHECK(isa_of(s) == Isa::avx2);
  CHECK(refusal("isa", "avx2") == "none");
  CHECK(refusal("isa", "sse") == "[isa] expected plain, avx2, avx512 or amx; got \"sse\"");
}

TEST_CASE("settings that a record lacks have their defaults") {
  Settings given;
  given.nlayers = 7;
  nlohmann::ordered_json json = to_json(given);
  json.erase("batch-split");
  const Settings s = settings_from_json(json);
  CHECK(s.nlayers == 7);
  CHECK(s.batch_split == 1);
}

TEST_CASE("a record leaves out what no weight depends on") {
  Settings s;
  s.checkpoint = "x";
  const auto recorded = recorded_json(s);
  for_each_setting(s, [&](const char* name, const auto&, const char*, Role role) {
    CAPTURE(name);
    CHECK(recorded.contains(name) == (role != Role::local));
  });
  s.exact_split = true;
  CHECK_FALSE(recorded_json(s).contains("batch-split"));
}

TEST_CASE("changes are told with their role, before and now") {
  Settings before, now;
  CHECK(changes(recorded_json(before), now).empty());
  now.nlayers = 3;
  now.lr = 0.5;
  now.optim = "adam";
  now.threads = 7;  // not recorded
  const std::vector<SettingChange> all = changes(recorded_json(before), now);
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "nlayers");
  CHECK(all[0].role == Role::fixed);
  CHECK(all[0].before == "8");
  CHECK(all[0].now == "3");
  CHECK(all[1].name == "optim");
  CHECK(all[1].now == "\"adam\"");
  CHECK(all[2].name == "lr");
  CHECK(all[2].role == Role::changeable);
  CHECK(all[2].before == "0.03");
}

TEST_CASE("a batch is worked on in the parts asked for, or in those that are always the same") {
  Settings s;
  s.batch_split = 2;
  CHECK(parts_of(s) == 2);
  s.exact_split = true;
  for (const auto& [batch, parts] :
       std::map<int64_t, int64_t>{{64, 8}, {8, 8}, {12, 4}, {6, 2}, {7, 1}, {1, 1}}) {
    s.batch_sz = batch;
    CHECK(parts_of(s) == parts);
  }
}

TEST_CASE("losses are shown in bits or as a perplexity") {
  CHECK(in_unit(std::log(2.0), "bpc") == doctest::Approx(1));
  CHECK(in_unit(std::log(2.0), "ppl") == doctest::Approx(2));
}

}  // namespace
}  // namespace adaspan
