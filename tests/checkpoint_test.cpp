// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/loaded_model.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

/// A checkpoint's content, to be changed and written back.
struct Content {
  explicit Content(const fs::path& path) {
    const SafetensorsFile file(path);
    metadata = file.metadata();
    for (const std::string& name : file.names()) tensors[name] = file.tensor(name);
  }
  void write(const fs::path& path) const {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : tensors) list.push_back({name, &tensor});
    write_safetensors(path, list, metadata);
  }
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;
};

std::string path_of(std::string_view name) {
  const std::vector<Field> all = fields();
  return std::ranges::find_if(all, [&](const Field& f) { return name == f.name; })->path;
}

/// Losses of so many steps and of a validation after every third.
std::vector<double> go_on(Trainer& trainer, int steps) {
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    losses.push_back(trainer.step().loss);
    if (trainer.steps_done() % 3 != 0) continue;
    losses.push_back(trainer.validate().loss);
  }
  return losses;
}

void check_resumption(const TrainingConfig& s) {
  const RunPlace place;
  Trainer whole = place.trainer(s), first = place.trainer(s), second = place.trainer(s);
  std::vector<double> losses = go_on(whole, 22);
  CHECK(go_on(first, 22) == losses);
  save_checkpoint(place.path, first);
  load_checkpoint(place.path, second);
  CHECK(second.steps_done() == 22);
  CHECK(second.losses().training == whole.losses().training);
  CHECK(second.losses().validation == whole.losses().validation);
  CHECK(second.losses().best_validation == whole.losses().best_validation);
  CHECK(go_on(second, 22) == go_on(whole, 22));  // the training text has 18 blocks
  CHECK(same_weights(weights(second), weights(whole)));

  const fs::path other = place.folder / "other.safetensors";
  save_checkpoint(place.path, whole);
  save_checkpoint(other, second);
  CHECK(read_text(place.path) == read_text(other));
}

TEST_CASE("a run that was saved and loaded goes on as if it had never stopped") {
  for (SpanKind kind : kSpanKinds) {
    for (OptimizerKind optim : {OptimizerKind::adagrad, OptimizerKind::adam, OptimizerKind::sgd}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(static_cast<int>(optim));
      TrainingConfig s = tiny_config(kind);
      s.optimizer.kind = optim;
      s.optimizer.momentum = 0.9;
      s.schedule.learning_rate = optim == OptimizerKind::adagrad ? 0.05 : 0.01;
      s.schedule.warmup = 15;
      s.model.dropout = 0.2f;
      s.model.embedding_dropout = 0.1f;
      s.batch.split = kind == SpanKind::adaptive ? 2 : 1;
      check_resumption(s);
    }
  }
}

TEST_CASE("so does one in bf16, whose memory is saved as it is") {
  if (!bf16_obstacle().empty()) return;
  for (SpanKind kind : kSpanKinds) {
    CAPTURE(static_cast<int>(kind));
    TrainingConfig s = tiny_config(kind);
    s.model.precision = DType::bf16;
    s.model.dropout = 0.2f;
    s.model.embedding_dropout = 0.1f;
    s.batch.split = 2;
    check_resumption(s);
  }
  const RunPlace place;
  TrainingConfig s = run_config();
  s.model.precision = DType::bf16;
  Trainer run = place.trainer(s);
  for (int i = 0; i < 3; ++i) run.step();
  save_checkpoint(place.path, run);
  const SafetensorsFile file(place.path);
  CHECK(same_bits(file.tensor("memory.train.1"), memory_of(run, 1)));
  CHECK(file.tensor("memory.train.1").type() == DType::bf16);
  CHECK(file.tensor("key_pe").type() == DType::f32);
}

TEST_CASE("a memory is saved as one tensor, whatever it is made of") {
  const RunPlace place;
  TrainingConfig s = run_config();
  s.model.adapt_cache = false;
  Trainer run = place.trainer(s);
  for (int i = 0; i < 4; ++i) run.step();
  save_checkpoint(place.path, run);
  const SafetensorsFile file(place.path);
  CHECK(file.shape("memory.train.1") == Shape{24, 4, 16});
  CHECK(same_bits(file.tensor("memory.train.0"), memory_of(run, 0)));
  CHECK(same_bits(file.tensor("memory.train.1"), memory_of(run, 1)));
}

TEST_CASE("a model trained in bf16 runs in f32 where bf16 cannot, and says so") {
  if (!bf16_obstacle().empty()) return;
  const RunPlace place;
  TrainingConfig s = run_config();
  s.model.precision = DType::bf16;
  Trainer run = place.trainer(s);
  for (int i = 0; i < 10; ++i) run.step();
  save_checkpoint(place.path, run);
  const TokenStream test = TokenStream::of(place.corpus, Part::test);

  const LoadedModel here = load_model(place.path);
  CHECK(here.note == "");
  CHECK(here.model->config().precision == DType::bf16);
  set_isa(Isa::plain);
  const LoadedModel there = load_model(place.path);
  CHECK(there.note == place.path.string() +
                          " was trained in bf16; here it runs in f32, since the kernels of level "
                          "plain compute in f32");
  CHECK(there.model->config().precision == DType::f32);
  const double loss = evaluate(*there.model, test, 2, 8).loss;
  set_isa(best_isa());
  const double half = evaluate(*here.model, test, 2, 8).loss;
  CHECK(half == evaluate(run.model(), test, 2, 8).loss);
  CHECK(half != loss);
  CHECK(half == doctest::Approx(loss).epsilon(0x1p-8));
}

TEST_CASE("a memory that is none is refused by its name") {
  for (const Tensor& wrong : {Tensor::zeros({4, 3}), Tensor::zeros({25, 4, 16}),
                              Tensor::zeros({4, 4, 16}, DType::i32), Tensor::zeros({4, 2, 16})}) {
    const RunPlace place;
    place.save();
    Content content(place.path);
    content.tensors["memory.valid.1"] =
        wrong.type() == DType::i32 ? Tensor::zeros({4, 4, 16}, DType::i32) : wrong.clone();
    content.write(place.path);
    CHECK_THROWS_WITH_AS(place.load(), Contains("[checkpoint] expected memory.valid.1 of shape "),
                         Error);
  }
}

TEST_CASE("a run saved before its first step goes on, too") {
  const RunPlace place;
  Trainer run = place.trainer(run_config()), again = place.trainer(run_config());
  save_checkpoint(place.folder / "new" / "checkpoint.safetensors", run);
  load_checkpoint(place.folder / "new" / "checkpoint.safetensors", again);
  CHECK(std::isinf(again.losses().best_validation));
  CHECK(go_on(again, 3) == go_on(run, 3));
}

TEST_CASE("a model loaded alone evaluates as the trained one") {
  const RunPlace place;
  Trainer run = place.trainer(run_config());
  run.step();
  save_checkpoint(place.path, run);
  const LoadedModel loaded = load_model(place.path);
  CHECK(loaded.header.progress.step == 1);
  CHECK(loaded.header.data.vocabulary == 8);
  CHECK(loaded.header.config.model.hidden == 16);
  CHECK_NOTHROW(check_vocabulary(loaded.header, place.corpus.identity()));
  const TokenStream test = TokenStream::of(place.corpus, Part::test);
  CHECK(evaluate(*loaded.model, test, 2, 8).loss == evaluate(run.model(), test, 2, 8).loss);
}

TEST_CASE("what does not define the run may change") {
  const RunPlace place;
  place.save();
  TrainingConfig s = run_config();
  s.schedule.learning_rate = 0.001;
  s.model.dropout = 0;
  s.run.rounds = 7;
  s.batch.split = 4;
  s.run.log_steps = 1;
  CHECK_NOTHROW(place.load(s, place.corpus));
}

TEST_CASE("a checkpoint of other lasting settings is refused by the one that differs") {
  const RunPlace place;
  place.save();
  const std::pair<const char*, const char*> changes[] = {{"nlayers", "1"},
                                                         {"hid-sz", "32"},
                                                         {"inner-hid-sz", "16"},
                                                         {"nheads", "4"},
                                                         {"attn-span", "16"},
                                                         {"adapt-span", "false"},
                                                         {"dynamic-span", "true"},
                                                         {"adapt-span-ramp", "5"},
                                                         {"skip-missing", "true"},
                                                         {"optim", "adam"},
                                                         {"batch-sz", "2"},
                                                         {"block-sz", "4"},
                                                         {"adapt-span-init", "0.5"},
                                                         {"seed", "2"},
                                                         {"adapt-span-cache", "false"},
                                                         {"precision", "bf16"}};
  for (const auto& [name, value] : changes) {
    TrainingConfig s = run_config();
    if (std::string(value) == "bf16" && !bf16_obstacle().empty()) continue;
    assign(s, name, value);
    const std::string expected = fmt::format("[checkpoint] expected {} ", path_of(name));
    CHECK_THROWS_WITH_AS(place.load(s, place.corpus), Contains(expected.c_str()), Error);
    CHECK_THROWS_WITH_AS(place.load(s, place.corpus), Contains("checkpoint.safetensors; got "),
                         Error);
  }
}

TEST_CASE("a checkpoint of another vocabulary is refused with both") {
  const RunPlace place;
  place.save();
  const Corpus other = corpus_of(place.folder / "other", letters(1, 'b'));  // has an h
  CHECK_THROWS_WITH_AS(place.load(run_config(), other),
                       Contains("[checkpoint] expected the vocabulary that the model was trained "
                                "with (8 tokens, SHA-256 "),
                       Error);
  CHECK_THROWS_WITH_AS(place.load(run_config(), other), Contains("got another (9 tokens, "), Error);
  CHECK_THROWS_WITH_AS(check_vocabulary(load_model(place.path).header, other.identity()),
                       Contains("[checkpoint] expected the vocabulary"), Error);
}

TEST_CASE("a checkpoint of another text is refused, but its model can be used there") {
  const RunPlace place;
  place.save();
  const Corpus other = corpus_of(place.folder / "other", letters(2));
  REQUIRE(other.vocabulary_hash() == place.corpus.vocabulary_hash());
  CHECK_THROWS_WITH_AS(place.load(run_config(), other),
                       Contains("[checkpoint] expected the text that "), Error);
  CHECK_NOTHROW(check_vocabulary(load_model(place.path).header, other.identity()));
}

TEST_CASE("a checkpoint of the same text cut elsewhere is refused with both hashes") {
  const RunPlace place;
  place.save();
  PrepareOptions options;
  options.format = place.corpus.format();
  options.input = place.folder / "text";
  options.out = place.folder / "cut";
  options.split = {0.5, 0.25, 0.25};
  prepare_corpus(options);
  const Corpus other = Corpus::open(options.out);
  REQUIRE(other.text_hash() == place.corpus.text_hash());
  REQUIRE(other.vocabulary_hash() == place.corpus.vocabulary_hash());
  const std::string expected = fmt::format(
      "[checkpoint] expected the training part that {} was trained on (SHA-256 {}); got another "
      "({}); ",
      place.path.string(), place.corpus.identity().part_hashes[0].substr(0, 12),
      other.identity().part_hashes[0].substr(0, 12));
  CHECK_THROWS_WITH_AS(place.load(run_config(), other), Contains(expected.c_str()), Error);
  CHECK_THROWS_WITH_AS(place.load(run_config(), other), Contains("run.init_from"), Error);
  CHECK_NOTHROW(place.load());

  Content earlier(place.path);  // knows no parts
  REQUIRE(earlier.metadata.erase("parts_sha256") == 1);
  earlier.write(place.path);
  CHECK_NOTHROW(place.load(run_config(), other));
}

TEST_CASE("a checkpoint made before there was a choice of validation is of a rolling one") {
  const RunPlace place;
  place.save();
  Content earlier(place.path);
  auto settings = nlohmann::ordered_json::parse(earlier.metadata.at("settings"));
  REQUIRE(settings.erase("validation") == 1);
  REQUIRE(settings.erase("steps") == 1);
  earlier.metadata["settings"] = settings.dump();
  auto progress = nlohmann::ordered_json::parse(earlier.metadata.at("progress"));
  progress["losses"]["best_validation"] = 0.5;
  earlier.metadata["progress"] = progress.dump();
  earlier.write(place.path);
  Trainer rolling = place.trainer(run_config());
  CHECK(load_checkpoint(place.path, rolling).config.run.validation == ValidationMode::rolling);
  CHECK(rolling.losses().best_validation == 0.5);
  TrainingConfig s = run_config();
  s.run.validation = ValidationMode::fixed;
  Trainer fixed = place.trainer(s);
  load_checkpoint(place.path, fixed);
  CHECK(std::isinf(fixed.losses().best_validation));
}

TEST_CASE("numbers that are not finite are refused, in whatever tensor, and not saved") {
  const RunPlace place;
  place.save();
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       -std::numeric_limits<float>::infinity()};
  for (const char* name : {"key_pe", "optim.sum.key_pe", "memory.train.1",
                           "layers.1.attn.attn.adaptive_span._mask.current_val"}) {
    CAPTURE(name);
    for (float value : bad) {
      Content content(place.path);
      Tensor& tensor = content.tensors.at(name);
      const float before = tensor.data()[tensor.elements() - 1];
      tensor.data()[tensor.elements() - 1] = value;
      content.write(place.path);
      const std::string expected =
          std::string("; got others in ") + name + "; the run had diverged";
      CHECK_THROWS_WITH_AS(place.load(), Contains(expected.c_str()), Error);
      CHECK_THROWS_WITH_AS(load_model(place.path), Contains(expected.c_str()), Error);
      tensor.data()[tensor.elements() - 1] = before;
      content.write(place.path);
    }
  }
  Trainer run = place.trainer(run_config());
  run.model().parameters().all()[1]->value().data()[3] = bad[0];
  CHECK_THROWS_WITH_AS(save_checkpoint(place.folder / "new", run),
                       Contains("[checkpoint] expected finite numbers to save at "), Error);
  CHECK_FALSE(fs::exists(place.folder / "new"));
}

TEST_CASE("a loss that is no number is refused, though all weights are finite") {
  const RunPlace place;
  place.save();
  Content content(place.path);
  Tensor& gain = content.tensors.at("layers.1.norm2.weight");
  std::fill_n(gain.data(), gain.elements(), 1e38f);
  Tensor& out = content.tensors.at("out_emb.weight");
  for (int64_t i = 0; i < out.elements(); ++i) out.data()[i] = i % 2 ? 3e38f : -3e38f;
  content.write(place.path);
  CHECK_THROWS_WITH_AS(evaluate_part(load_model(place.path), place.corpus, Part::valid),
                       Contains("[eval] expected a finite loss on the valid part; got "), Error);
}

TEST_CASE("a small file that says it is large is refused before anything large is made") {
  const RunPlace place;
  place.save();
  const Content whole(place.path);
  const auto refuse = [&](const char* name, int64_t value, const char* expected) {
    CAPTURE(name);
    Content content(place.path);
    auto settings = nlohmann::ordered_json::parse(whole.metadata.at("settings"));
    settings[name] = value;
    content.metadata["settings"] = settings.dump();
    content.write(place.path);
    const auto begun = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH_AS(load_model(place.path), Contains(expected), Error);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begun;
    CHECK(time.count() < 0.5);
  };
  refuse("inner-hid-sz", int64_t{1} << 25,
         "[checkpoint] expected layers.0.ff.fc1.weight of shape [33554432, 16]; got [32, 16]");
  refuse("attn-span", int64_t{1} << 30, "[checkpoint] expected key_pe of shape [1, 8, 1073741824]");
  refuse("hid-sz", int64_t{1} << 30, "[checkpoint] expected key_pe of shape ");
  refuse("nlayers", 20000, "[safetensors] expected a tensor layers.2.");
  Content content(place.path);
  content.metadata = whole.metadata;
  content.metadata["vocabulary_size"] = "4611686018427387904";
  content.write(place.path);
  CHECK_THROWS_AS(load_model(place.path), Error);
}

TEST_CASE("a tensor of another shape or type is refused by its name") {
  const RunPlace place;
  place.save();
  Content content(place.path);
  const auto refuse = [&](Tensor tensor, const char* expected) {
    content.tensors["layers.1.norm2.bias"] = std::move(tensor);
    content.write(place.path);
    CHECK_THROWS_WITH_AS(place.load(), Contains(expected), Error);
    CHECK_THROWS_WITH_AS(load_model(place.path), Contains(expected), Error);
  };
  refuse(Tensor::zeros({15}), "[checkpoint] expected layers.1.norm2.bias of shape [16]");
  refuse(Tensor::zeros({16}, DType::bf16),
         "[checkpoint] expected layers.1.norm2.bias of shape [16] and type f32; got [16] of type "
         "bf16; is it of a model of another size?");
}

TEST_CASE("spans outside of their range are refused") {
  const RunPlace place;
  place.save();
  Content content(place.path);
  const std::string name = "layers.1.attn.attn.adaptive_span._mask.current_val";
  for (const float share : {-0.1f, 1.5f}) {
    content.tensors.at(name).data()[1] = share;
    content.write(place.path);
    CHECK_THROWS_WITH_AS(place.load(), Contains(("expected " + name + " in [0, 1]").c_str()),
                         Error);
    CHECK_THROWS_WITH_AS(load_model(place.path), Contains("in [0, 1]"), Error);
  }
}

TEST_CASE("a checkpoint that lacks a tensor is refused by the tensor's name") {
  for (const char* name : {"key_pe", "optim.sum.key_pe", "memory.train.1", "memory.valid.1"}) {
    const RunPlace place;
    place.save();
    Content content(place.path);
    REQUIRE(content.tensors.erase(name) == 1);
    content.write(place.path);
    const std::string expected = std::string("[safetensors] expected a tensor ") + name;
    CHECK_THROWS_WITH_AS(place.load(), Contains(expected.c_str()), Error);
  }
}

TEST_CASE("a checkpoint cut short anywhere is refused") {
  const RunPlace place;
  place.save();
  const std::string whole = read_text(place.path);
  const fs::path cut = place.folder / "cut.safetensors";
  std::vector<size_t> lengths{0, 1, 7, 8, 9, 100, whole.size() - 4, whole.size() - 1};
  for (size_t i = 1; i < 40; ++i) lengths.push_back(whole.size() * i / 40);
  for (size_t length : lengths) {
    CAPTURE(length);
    atomic_write(cut, whole.substr(0, length));
    CHECK_THROWS_WITH_AS(load_model(cut), Contains("[safetensors] expected "), Error);
    Trainer run = place.trainer(run_config());
    CHECK_THROWS_WITH_AS(load_checkpoint(cut, run), Contains(cut.c_str()), Error);
  }
}

TEST_CASE("a file that is no checkpoint is refused") {
  const RunPlace place;
  place.save();
  Content content(place.path);
  const auto refuse = [&](const char* expected) {
    content.write(place.path);
    CHECK_THROWS_WITH_AS(place.load(), Contains(expected), Error);
    CHECK_THROWS_WITH_AS(load_model(place.path), Contains(expected), Error);
  };
  SUBCASE("no format") {
    content.metadata.erase("format");
    refuse("; got none named; another version of this program may have written it");
  }
  SUBCASE("another version") {
    content.metadata["format"] = "adaspan checkpoint 1";
    refuse("got \"adaspan checkpoint 1\"");
  }
  SUBCASE("no progress") {
    content.metadata.erase("progress");
    refuse("[checkpoint] expected a whole header; got: ");
  }
  SUBCASE("progress that is no JSON") {
    content.metadata["progress"] = "{";
    refuse("[checkpoint] expected a whole header; got: ");
  }
  SUBCASE("no level of instructions") {
    content.metadata.erase("isa");
    refuse("[checkpoint] expected a whole header; got: ");
  }
  SUBCASE("a setting that is none") {
    content.metadata["settings"] = "{\"layers\": 3}";
    refuse("[checkpoint] expected a whole header; got: ");
  }
  SUBCASE("text") {
    atomic_write(place.path, "just some text, and enough of it for a header");
    CHECK_THROWS_WITH_AS(place.load(), Contains("[safetensors] expected"), Error);
  }
  SUBCASE("nothing") {
    fs::remove(place.path);
    CHECK_THROWS_WITH_AS(place.load(), Contains("[file] expected a readable file at"), Error);
  }
}

TEST_CASE("settings of a checkpoint pass the checks of all others") {
  const RunPlace place;
  place.save();
  const Content whole(place.path);
  const auto refuse = [&](const char* name, const nlohmann::json& value, const char* expected) {
    CAPTURE(name);
    Content content = Content(place.path);
    auto settings = nlohmann::ordered_json::parse(whole.metadata.at("settings"));
    settings[name] = value;
    content.metadata["settings"] = settings.dump();
    content.write(place.path);
    CHECK_THROWS_WITH_AS(read_header(SafetensorsFile(place.path)), Contains(expected), Error);
    CHECK_THROWS_WITH_AS(load_model(place.path), Contains(expected), Error);
    CHECK_THROWS_WITH_AS(place.load(), Contains(expected), Error);
  };
  refuse("block-sz", 0, "expected batch.block of at least 1; got 0; the file is damaged");
  refuse("block-sz", -1, "expected batch.block of at least 1; got -1; the file is damaged");
  refuse("batch-split", 3, "expected batch.split to divide batch.sequences; got 3 parts of 4");
  refuse("nlayers", 0, "of at least 1; got 0; the file is damaged");
  refuse("hid-sz", int64_t{1} << 40, "expected model.hidden of at most 1073741824");
  refuse("lr", -1.0, "expected schedule.learning_rate of at least 0; got -1");
}

TEST_CASE("a disk that fills up leaves the older checkpoint whole and nothing beside it") {
  const RunPlace place;
  place.save();
  const std::string before = read_text(place.path);
  Trainer run = place.trainer(run_config());
  run.step();
  for (rlim_t limit : {rlim_t{0}, rlim_t{5000}, rlim_t{before.size() / 2}}) {
    CAPTURE(limit);
    const auto save = [&] {
      const FileSizeLimit full(limit);
      save_checkpoint(place.path, run);
    };
    CHECK_THROWS_WITH_AS(save(), Contains("[file] expected to write "), Error);
    CHECK(read_text(place.path) == before);
    CHECK_FALSE(fs::exists(place.path.string() + ".tmp"));
  }
  CHECK_NOTHROW(save_checkpoint(place.path, run));
  CHECK(read_text(place.path) != before);
}

}  // namespace
}  // namespace adaspan
