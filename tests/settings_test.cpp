// SPDX-License-Identifier: MIT
#include "app/settings.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/run/config_record.h"
#include "app/suggestion.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

SettingTexts from_toml(const std::string& text) {
  const TemporaryFolder folder;
  atomic_write(folder / "my.toml", text);
  SettingTexts texts;
  give_toml(texts, folder / "my.toml");
  return texts;
}

/// What people read when one setting is refused.
std::string refusal(const std::string& name, const std::string& value) {
  try {
    SettingTexts texts;
    give(texts, name, value);
    threads_of(texts);
    settings_of(texts);
  } catch (const Error& e) {
    return with_flags(e.what());
  }
  return "none";
}

TEST_CASE("every field of a training configuration has a flag, of its kind and default") {
  for (const Field& field : fields()) {
    CAPTURE(field.name);
    CHECK(std::ranges::count(flags(), field.name, &Flag::name) == 1);
  }
  const auto flag = [](const char* name) { return *std::ranges::find(flags(), name, &Flag::name); };
  CHECK(flag("nlayers").kind == Flag::Kind::integer);
  CHECK(flag("nlayers").standard == "8");
  CHECK(flag("emb-dropout").kind == Flag::Kind::number);
  CHECK(flag("emb-dropout").standard == "0");
  CHECK(flag("dropout").standard == "0.2");
  CHECK(flag("adapt-span").kind == Flag::Kind::boolean);
  CHECK(flag("optim").kind == Flag::Kind::text);
  CHECK(flag("precision").standard == "auto");
}

TEST_CASE("every alternative that help and completion tell of a flag is one") {
  for (const Flag& flag : flags()) {
    CAPTURE(flag.name);
    for (const std::string& value : alternatives(flag.type)) {
      CAPTURE(value);
      SettingTexts texts;
      CHECK_NOTHROW(give(texts, flag.name, value));
    }
  }
}

TEST_CASE("every setting can be given by a TOML file") {
  TrainingConfig c;
  c.run.data = "a \"folder\"";
  c.optimizer.kind = OptimizerKind::adam;
  c.schedule.learning_rate = 1e-7;
  c.model.dropout = 0.3f;
  c.model.span_kind = SpanKind::adaptive;
  std::string text = "threads = 3\nfull-eval-mode = true\n";
  const nlohmann::ordered_json json = to_json(c);
  for (const auto& [name, value] : json.items()) {
    text += fmt::format("{} = {}\n", name, value.dump());
  }
  const Settings settings = settings_of(from_toml(text));
  CHECK(to_json(settings.training) == json);
  CHECK(threads_of(from_toml(text)) == 3);
  CHECK(settings.full_eval_mode);
}

TEST_CASE("a TOML file gives cut-offs as a list or as a text") {
  const auto cutoffs = [](const std::string& text) {
    return settings_of(from_toml("adapt-io-cutoffs = " + text)).training.model.adaptive_io.cutoffs;
  };
  const std::vector<int64_t> expected{20, 400};
  CHECK(cutoffs("[20, 400]") == expected);
  CHECK(cutoffs("\"20,400\"") == expected);
  CHECK(cutoffs("\"20, 400\"") == expected);
  CHECK(cutoffs("[7]") == std::vector<int64_t>{7});
  CHECK(cutoffs("7") == std::vector<int64_t>{7});
}

TEST_CASE("a TOML file changes only what it names") {
  TrainingConfig defaults;
  defaults.schedule.learning_rate = 7;
  const SettingTexts texts = from_toml("# a comment\nnlayers = 3\ndropout = 0\n");
  const TrainingConfig c = settings_of(texts, defaults).training;
  CHECK(c.model.layers == 3);
  CHECK(c.model.dropout == 0);
  CHECK(c.schedule.learning_rate == 7);
  CHECK(c.model.heads == TrainingConfig().model.heads);
}

TEST_CASE("what is given later wins, and dynamic spans over adaptive ones") {
  SettingTexts texts = from_toml("adapt-span = true\ndynamic-span = true\nlr = 1\n");
  CHECK(settings_of(texts).training.model.span_kind == SpanKind::dynamic);
  give(texts, "dynamic-span", "false");
  give(texts, "lr", "2");
  CHECK(settings_of(texts).training.model.span_kind == SpanKind::adaptive);
  CHECK(settings_of(texts).training.schedule.learning_rate == 2);
}

TEST_CASE("a setting that does not exist is refused") {
  CHECK(refusal("layers", "3") ==
        "[settings] expected the name of a setting; got \"layers\"; did you mean nlayers?; "
        "'adaspan train --help' lists "
        "them");
}

TEST_CASE("a TOML file is refused by file, and by line where there is one") {
  SettingTexts texts;
  CHECK_THROWS_WITH_AS(give_toml(texts, "/no/such.toml"),
                       "[settings] expected a configuration file at /no/such.toml; got none",
                       Error);
  const auto refuse = [&](const char* text, const char* expected) {
    CAPTURE(text);
    std::string message = "none";
    try {
      from_toml(text);
    } catch (const Error& e) {
      message = with_flags(e.what());
    }
    CHECK_MESSAGE(message.find(expected) != std::string::npos, message);
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
  refuse("nlayers = [3]\n", "for --nlayers; got a table or list");
  refuse("adapt-io-cutoffs = [\"20\"]\n", "for --adapt-io-cutoffs; got a table or list");
  refuse("adapt-io-cutoffs = []\n",
         "--adapt-io-cutoffs to be whole numbers with commas between them; got \"\"");
  refuse("data = 2019-05-19\n", "for --data; got a date or time");
}

TEST_CASE("tables [[stage]] of a TOML file are the stages, and the run is as long as they are") {
  const std::string stages = "[[stage]]\nniter = 150\n[[stage]]\nsteps = 20\nlr-factor = 0.1\n";
  const TrainingConfig c = settings_of(from_toml("nbatches = 10\n" + stages)).training;
  CHECK(c.schedule.stages == Stages{{150, true, 1}, {20, false, 0.1}});
  CHECK(c.run.steps() == 1520);
  const TrainingConfig longer = settings_of(from_toml("niter = 160\n" + stages)).training;
  CHECK(longer.run.steps() == 160000);
  CHECK(settings_of(from_toml("stages = \"3@1,4@2\"\n")).training.run.steps() == 7);
  CHECK(settings_of(from_toml("steps = 5\nstages = \"3@1,4@2\"\n")).training.run.steps() == 5);
}

TEST_CASE("the length of a run is the last one given, of stages or of all of them") {
  SettingTexts texts = from_toml("niter = 3\nsteps = 0\nstages = \"3@1,4@2\"\n");
  CHECK(settings_of(texts).training.run.steps() == 3000);
  forget_length(texts);
  give(texts, "stages", "5r");
  CHECK(settings_of(texts).training.run.steps() == 5000);
  give(texts, "nbatches", "10");
  CHECK(settings_of(texts).training.run.steps() == 50);
  give(texts, "steps", "0");  // as niter says, or the stages
  CHECK(settings_of(texts).training.run.steps() == 50);
  give(texts, "niter", "6");
  CHECK(settings_of(texts).training.run.steps() == 60);
}

TEST_CASE("a stage that is none is refused by its line") {
  const auto refuse = [&](const std::string& text, const std::string& expected, int line) {
    CAPTURE(text);
    std::string message = "none";
    try {
      from_toml(text);
    } catch (const Error& e) {
      message = with_flags(e.what());
    }
    CHECK_MESSAGE(message.starts_with(expected), message);
    CHECK_MESSAGE(message.ends_with(fmt::format("my.toml, line {})", line)), message);
  };
  const std::string one = "[[stage]]\nniter = 1\n";
  refuse(one + "lr_factor = 0.1\n",
         "[settings] expected niter, steps or lr-factor in a [[stage]]; got \"lr_factor\"; did you "
         "mean lr-factor? (in ",
         3);
  for (const char* factor : {"0", "-0.1", "nan", "inf", "\"1\""}) {
    refuse(one + "lr-factor = " + factor + "\n",
           "[settings] expected lr-factor of a [[stage]] to be a number above 0; got ", 3);
  }
  for (const char* length : {"0", "-1", "1.5", "true"}) {
    refuse(one + "[[stage]]\nsteps = " + length + "\n",
           "[settings] expected steps of a [[stage]] to be a whole number of at least 1; got ", 4);
  }
  refuse(one + "\n[[stage]]\nlr-factor = 0.1\n",
         "[settings] expected a [[stage]] with niter or steps, its length; got none", 4);
  refuse(one + "steps = 1\n",
         "[settings] expected a [[stage]] with niter or steps, its length; got both", 1);
  refuse("[stage]\nniter = 1\n",
         "[settings] expected stages as tables that begin with [[stage]]; got a table [stage]", 1);
  refuse("\nstage = 3\n",
         "[settings] expected stages as tables that begin with [[stage]]; got something else", 2);
  CHECK_THROWS_WITH_AS(from_toml("stages = \"3\"\n" + one),
                       Contains("expected stages or tables [[stage]] in "), Error);
  CHECK(refusal("stages", "5@0") ==
        "[settings] expected --stages to be lengths of at least 1 and factors above 0, as "
        "150000@1,20000@0.1; got \"5@0\"");
}

TEST_CASE("every preset loads, fits together, and says what to expect of it") {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(ADASPAN_PRESETS)) {
    const std::string name = entry.path().stem().string();
    CAPTURE(name);
    SettingTexts texts;
    CHECK_NOTHROW(give_toml(texts, entry.path()));
    CHECK_FALSE(settings_of(texts).training.run.data.empty());
    CHECK_MESSAGE(read_text(entry.path()).find("# Expect") != std::string::npos,
                  "the comment of a preset states the result to expect");
    ++count;
  }
  CHECK(count >= 5);
}

TEST_CASE("settings out of range are refused by their flag") {
  CHECK(refusal("block-sz", "0") == "[settings] expected --block-sz of at least 1; got 0");
  CHECK(refusal("threads", "0") == "none");
  CHECK(refusal("threads", "-1") == "[settings] expected --threads of at least 0; got -1");
  CHECK(refusal("threads", "4097") == "[settings] expected --threads of at most 4096; got 4097");
  CHECK(refusal("threads", "two") ==
        "[settings] expected --threads to be a whole number; got \"two\"");
  CHECK(refusal("full-eval-mode", "1") ==
        "[settings] expected --full-eval-mode to be true or false; got \"1\"");
  CHECK(refusal("batch-split", "3") ==
        "[settings] expected --batch-split to divide --batch-sz; got 3 parts of 64");
  CHECK(refusal("nheads", "3").starts_with("[model] expected --nheads to divide --hid-sz; got 3"));
  CHECK(refusal("adapt-io-cutoffs", "20,x") ==
        "[settings] expected --adapt-io-cutoffs to be whole numbers with commas between them; got "
        "\"20,x\"");
  CHECK(refusal("adapt-io-cutoffs", "20,2000000000") ==
        "[settings] expected numbers of at most 1073741824 in --adapt-io-cutoffs; got 2000000000");
  CHECK(refusal("optim", "lion") ==
        "[settings] expected --optim to be sgd, adagrad or adam; got \"lion\"");
}

TEST_CASE("precision is as asked for, and by itself the fastest that can run") {
  const auto precision = [](const SettingTexts& texts) {
    return settings_of(texts).training.model.precision;
  };
  CHECK(precision({{"precision", "f32"}}) == DType::f32);
  for (Isa level : {Isa::plain, best_isa()}) {
    set_isa(level);
    const DType fastest = bf16_obstacle().empty() ? DType::bf16 : DType::f32;
    CHECK(precision({}) == fastest);
    CHECK(precision({{"precision", "auto"}}) == fastest);
  }
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(precision({{"precision", "bf16"}}),
                       Contains("since the kernels of level plain compute in f32; got bf16"),
                       Error);
  set_isa(best_isa());
  CHECK(refusal("precision", "half") ==
        "[settings] expected --precision to be f32, bf16 or auto; got \"half\"");
}

TEST_CASE("the memory's precision is a word of its own only where it differs from activations'") {
  const auto cache = [](const char* precision, const char* asked) {
    return settings_of({{"precision", precision}, {"cache-precision", asked}})
        .training.model.cache_precision;
  };
  CHECK(cache("f32", "auto") == CachePrecision::of_activations);
  CHECK(cache("f32", "f32") == CachePrecision::of_activations);
  CHECK(cache("f32", "bf16") == CachePrecision::bf16);
  CHECK(refusal("cache-precision", "half") ==
        "[settings] expected --cache-precision to be f32, bf16 or auto; got \"half\"");
  if (!bf16_obstacle().empty()) return;
  CHECK(cache("bf16", "bf16") == CachePrecision::of_activations);
  CHECK_THROWS_WITH_AS(cache("bf16", "f32"),
                       "[model] expected model.cache_precision bf16 or auto with activations in "
                       "bf16; got f32; a memory holds no more than they do",
                       Error);
}

TEST_CASE("the level of instructions is named, or the best there is") {
  CHECK(isa_of(SettingTexts{}) == best_isa());
  CHECK(isa_of({{"isa", "auto"}}) == best_isa());
  CHECK(isa_of({{"isa", "plain"}}) == Isa::plain);
  CHECK(refusal("isa", "sse") ==
        "[settings] expected --isa to be auto, plain, avx2, avx512 or amx; got \"sse\"");
}

TEST_CASE("errors name the flag of a field, and leave alone what only looks like one") {
  CHECK(with_flags("expected model.layers of at least 1; got 0") ==
        "expected --nlayers of at least 1; got 0");
  CHECK(with_flags("batch.split, batch.sequences; or batch.block") ==
        "--batch-split, --batch-sz; or --block-sz");
  CHECK(with_flags("try optimizer.grad_clip.") == "try --grad-clip.");
  for (const char* same : {"at my/run.data is", "at run.data/x", "run.data.json", "run.database",
                           "a.run.data", "over-run.data"}) {
    CHECK(with_flags(same) == same);
  }
  CHECK(with_flags("no run.data in run.data or run.data=x; give run.data", {"run.data"}) ==
        "no run.data in run.data or run.data=x; give run.data");
  CHECK(with_flags("model.layers in my.run.data", {"--data", "my.run.data"}) ==
        "--nlayers in my.run.data");
  CHECK(with_flags("expected process.threads of at least 0") == "expected --threads of at least 0");
}

}  // namespace
}  // namespace adaspan
