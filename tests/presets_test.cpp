// SPDX-License-Identifier: MIT
// The presets: what they define is what the papers' programs define.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <string>

#include "adaspan/core/file.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/transformer.h"
#include "app/places.h"
#include "app/settings.h"

namespace adaspan {
namespace {

std::filesystem::path file_of(const std::string& name) {
  return std::filesystem::path(ADASPAN_PRESETS) / (name + ".toml");
}

PresetNotes notes_of(const std::string& name) {
  return notes_of_preset(read_text(file_of(name)));
}

TrainingConfig preset(const std::string& name) {
  SettingTexts texts;
  give_toml(texts, file_of(name));
  TrainingConfig c = settings_of(texts).training;
  c.model.vocabulary = notes_of(name).vocabulary;
  return c;
}

/// Counted in the parameters of a real model of so many layers.
int64_t count(ModelConfig model, int64_t layers) {
  model.layers = layers;
  return Transformer(model, /*seed=*/1).parameters().elements();
}

TEST_CASE("the models of the presets have as many parameters as those of the papers' programs") {
  const std::map<std::string, int64_t> expected{
      {"enwik8", 38'538'541},       {"text8", 38'357'116},        {"enwik8_large", 208'910'221},
      {"text8_large", 208'638'172}, {"enwik8_small", 6'480'621},  {"enwik8_pers_small", 38'501'725},
      {"enwik8_pers", 114'017'773}, {"wiki103_pers", 132'493'746}};
  for (const auto& [key, parameters] : expected) {
    const std::string& name = key;  // clang 14 captures no structured bindings
    CAPTURE(name);
    CHECK(parameter_count(preset(name).model) == static_cast<double>(parameters));
  }
}

TEST_CASE("the presets train as the table of the papers' experiments says") {
  struct Row {
    const char* name;
    int64_t L, H, F, P, K, S, M, warmup;
    float dropout, embedding_dropout, span_loss;
  };
  constexpr Row kTable[] = {
      {"enwik8", 12, 512, 2048, 0, 8, 8192, 512, 32000, 0.3f, 0, 5e-7f},
      {"text8", 12, 512, 2048, 0, 8, 8192, 512, 32000, 0.3f, 0, 5e-7f},
      {"enwik8_large", 24, 768, 4096, 0, 8, 8192, 512, 32000, 0.4f, 0, 5e-7f},
      {"text8_large", 24, 768, 4096, 0, 8, 8192, 512, 32000, 0.4f, 0, 5e-7f},
      {"enwik8_small", 8, 256, 1024, 0, 4, 1024, 256, 8000, 0, 0, 2e-6f},
      {"enwik8_pers_small", 18, 512, 0, 1024, 8, 8192, 512, 32000, 0.3f, 0, 1e-7f},
      {"enwik8_pers", 36, 512, 0, 2048, 8, 8192, 512, 32000, 0.4f, 0, 1e-7f},
      {"wiki103_pers", 36, 512, 0, 2048, 8, 2048, 256, 8000, 0.3f, 0.1f, 5e-7f}};
  for (const Row& row : kTable) {
    CAPTURE(row.name);
    const TrainingConfig c = preset(row.name);
    const bool words = std::string(row.name) == "wiki103_pers";
    CHECK(c.model.layers == row.L);
    CHECK(c.model.hidden == row.H);
    if (row.P == 0) CHECK(c.model.inner == row.F);
    CHECK(c.model.persistent == row.P);
    CHECK(c.model.heads == row.K);
    CHECK(c.model.span_kind == SpanKind::adaptive);
    CHECK(c.model.span_limit == row.S);
    CHECK(c.model.ramp == 32);
    CHECK(c.model.span_loss == row.span_loss);
    CHECK(c.model.adapt_cache);
    CHECK(c.model.dropout == row.dropout);
    CHECK(c.model.embedding_dropout == row.embedding_dropout);
    CHECK(c.batch.sequences == 64);
    CHECK(c.batch.block == row.M);
    CHECK(c.optimizer.kind == (words ? OptimizerKind::adam : OptimizerKind::adagrad));
    CHECK(c.optimizer.grad_clip == (words ? 1 : 0.03));
    CHECK(c.schedule.learning_rate == (words ? 2.5e-4 : 0.07));
    CHECK(c.schedule.warmup == row.warmup);
    CHECK(c.model.adaptive_io.on == words);
    if (!words) continue;
    CHECK(c.model.adaptive_io.tied);
    CHECK(c.model.adaptive_io.divval == 4);
    CHECK(c.model.adaptive_io.cutoffs == std::vector<int64_t>{20000, 40000, 200000});
  }
}

TEST_CASE("parameters are counted as the presets' models have them") {
  for (const auto& entry : std::filesystem::directory_iterator(ADASPAN_PRESETS)) {
    const std::string name = entry.path().stem().string();
    CAPTURE(name);
    const TrainingConfig c = preset(name);
    REQUIRE(c.model.vocabulary > 0);
    // All layers are alike, and two of the largest fit everywhere.
    const int64_t one = count(c.model, 1), two = count(c.model, 2);
    CHECK(parameter_count(c.model) ==
          static_cast<double>(one + (c.model.layers - 1) * (two - one)));
  }
}

TEST_CASE("the presets train as long as the papers' programs do, the last steps at a tenth") {
  struct Length {
    int64_t rounds, fine_tuning;
  };
  const std::map<std::string, Length> expected{
      {"enwik8", {600, 0}},       {"text8", {900, 0}},        {"enwik8_large", {150, 20}},
      {"text8_large", {250, 20}}, {"enwik8_small", {150, 0}}, {"enwik8_pers_small", {450, 30}},
      {"enwik8_pers", {200, 10}}, {"wiki103_pers", {800, 50}}};
  for (const auto& [key, length] : expected) {
    const std::string& name = key;
    CAPTURE(name);
    const TrainingConfig c = preset(name);
    CHECK(c.run.steps_per_round == 1000);
    CHECK(c.run.steps() == 1000 * (length.rounds + length.fine_tuning));
    const Stages stages{{length.rounds, true, 1}, {length.fine_tuning, true, 0.1}};
    CHECK(c.schedule.stages == (length.fine_tuning > 0 ? stages : Stages{}));
    // The 24-layer models' programs have 2; of 4 parts each has less to remember for the way back.
    const int64_t split = name.ends_with("_large") ? 4 : length.fine_tuning > 0 ? 2 : 1;
    CHECK(c.batch.split == split);
  }
}

TEST_CASE("a preset's comment tells the sizes that were published") {
  const PresetNotes text8 = notes_of("text8");
  CHECK(text8.vocabulary == 28);
  CHECK(text8.mean_span == 314);
  CHECK(text8.flops == 42e6);
  CHECK(text8.about == "The paper's 12-layer model on text8, 38 M parameters.");
  CHECK(text8.expect.starts_with("Expect (paper"));
  const PresetNotes small = notes_of("enwik8_small");
  CHECK(small.vocabulary == 205);
  CHECK(small.mean_span == 0);
  CHECK(small.flops == 0);
}

}  // namespace
}  // namespace adaspan
