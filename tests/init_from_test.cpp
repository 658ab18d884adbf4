// SPDX-License-Identifier: MIT
#include "adaspan/train/run/init_from.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/run.h"
#include "adaspan/train/run/run_difference.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

/// A trained model on a text of the letters a to g, and a second corpus of words, b to h.
struct Source : RunPlace {
  Source() {
    TrainingConfig c = config();
    Trainer source = trainer(c);
    for (int i = 0; i < 5; ++i) source.step();
    save_checkpoint(path, source);
  }
  TrainingConfig config() const {
    TrainingConfig c = run_config();
    c.run.data = (folder / "corpus").string();
    return c;
  }
  /// A run that begins with the source's weights.
  TrainingConfig beginning(bool with_optimizer = false) const {
    TrainingConfig c = config();
    c.run.seed = 7;
    c.run.init_from = path.string();
    c.run.init_optimizer = with_optimizer;
    return c;
  }
  Tensor of_source(const std::string& name) const { return SafetensorsFile(path).tensor(name); }
  /// On the corpus in `name`, whose letters are moved on by one, in another order.
  TrainingConfig elsewhere(TrainingConfig c) const {
    c.run.data = (folder / "other" / "corpus").string();
    return c;
  }

  Corpus other = corpus_of(folder / "other", "hgfedcba" + letters(3, 'b'));
  Trainer trainer_elsewhere(const TrainingConfig& c) const {
    return {elsewhere(c), other.identity(), TokenStream::of(other, Part::train),
            TokenStream::of(other, Part::valid)};
  }
};

const Tensor& value_of(Trainer& trainer, const std::string& name) {
  for (const Parameter* p : trainer.model().parameters().all()) {
    if (p->name() == name) return p->value();
  }
  fail("no parameter {}", name);
}

std::string refusal(Trainer& trainer) {
  try {
    initialise(trainer);
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

const std::string kRatio = "layers.0.attn.attn.adaptive_span._mask.current_val";

TEST_CASE("a run on the same corpus begins with all weights, and a fresh optimizer and step") {
  const Source source;
  Trainer trainer = source.trainer(source.beginning());
  const std::string told = initialise(trainer);
  for (const Parameter* p : trainer.model().parameters().all()) {
    CHECK(same_bits(p->value(), source.of_source(p->name())));
  }
  for (const auto& [name, tensor] : trainer.optimizer().state()) {
    CHECK(std::ranges::all_of(tensor->values(), [](float x) { return x == 0; }));
  }
  CHECK(trainer.steps_done() == 0);
  REQUIRE(trainer.origin());
  CHECK(trainer.origin()->sha256 == SafetensorsFile(source.path).sha256());
  CHECK(trainer.origin()->optimizer_steps == 0);
  CHECK(told == "begins with the weights of " + source.path.string() + " (step 5, SHA-256 " +
                    trainer.origin()->sha256.substr(0, 12) + "): all tokens are its own");
}

TEST_CASE("with the optimizer's state, too, if that is asked for") {
  const Source source;
  Trainer trainer = source.trainer(source.beginning(true));
  CHECK(initialise(trainer).starts_with("begins with the weights and the optimizer's state of "));
  for (const auto& [name, tensor] : trainer.optimizer().state()) {
    CHECK(same_bits(*tensor, source.of_source(name)));
  }
  CHECK(trainer.origin()->optimizer_steps == 5);
}

TEST_CASE("Adam remembers how many updates its state is of, also where a run goes on") {
  const RunPlace place;
  TrainingConfig c = run_config();
  c.optimizer.kind = OptimizerKind::adam;
  c.schedule.learning_rate = 0.01;
  c.model.dropout = 0;
  Trainer source = place.trainer(c), straight = place.trainer(c);
  for (int i = 0; i < 3; ++i) {
    source.step();
    straight.step();
  }
  save_checkpoint(place.path, source);
  c.run.init_from = place.path.string();
  c.run.init_optimizer = true;
  Trainer begun = place.trainer(c);
  initialise(begun);
  // At the same place of the text and with the same memory, the next step would be the same.
  Trainer::Progress there = source.progress();
  there.step = 0;
  there.origin = begun.origin();
  begun.restore(there);
  for (int64_t l = 0; l < c.model.layers; ++l) {
    const auto text = Trainer::MemoryOf::train;
    begun.set_layer_memory(text, l, source.layer_memory(text, l));
  }
  straight.step();
  begun.step();
  CHECK(same_weights(weights(begun), weights(straight)));
  save_checkpoint(place.folder / "b", begun);
  Trainer again = place.trainer(c);
  load_checkpoint(place.folder / "b", again);
  again.step();
  straight.step();
  CHECK(again.steps_done() == 2);
  CHECK(same_weights(weights(again), weights(straight)));
}

/// Of a model with clusters of 3, 2 and 3 tokens.
TrainingConfig clusters(TrainingConfig c) {
  c.model.adaptive_io = {.on = true, .tied = true, .divval = 2, .cutoffs = {3, 5}};
  return c;
}

TEST_CASE("clusters of tokens are taken over as they are, and from their own vocabulary alone") {
  const Source source;
  Trainer trained = source.trainer(clusters(source.config()));
  trained.step();
  save_checkpoint(source.path, trained);
  Trainer trainer = source.trainer(clusters(source.beginning(true)));
  initialise(trainer);
  for (const Parameter* p : trainer.model().parameters().all()) {
    CHECK(same_bits(p->value(), source.of_source(p->name())));
  }
  TrainingConfig other = clusters(source.beginning());
  other.model.adaptive_io.cutoffs = {3, 6};
  Trainer cut_elsewhere = source.trainer(other);
  CHECK(refusal(cut_elsewhere)
            .starts_with("[init] expected model.adaptive_io.cutoffs \"3,5\" as in "));
  Trainer without = source.trainer(source.beginning());
  CHECK(refusal(without).starts_with("[init] expected model.adaptive_io.on true as in "));
  Trainer elsewhere = source.trainer_elsewhere(clusters(source.beginning()));
  CHECK(refusal(elsewhere).starts_with("[init] expected the vocabulary of "));
  CHECK(refusal(elsewhere).ends_with(
      "since model.adaptive_io.on goes by the order of its tokens; got another; prepare the corpus "
      "with that vocabulary, or begin anew"));
}

TEST_CASE("cut-offs that nobody uses may differ") {
  const Source source;
  TrainingConfig c = source.beginning();
  c.model.adaptive_io.cutoffs = {3};
  Trainer trainer = source.trainer(c);
  CHECK(initialise(trainer).starts_with("begins with the weights of "));
}

TEST_CASE("on another corpus tokens are matched by their bytes, and new ones stay fresh") {
  const Source source;
  Trainer trainer = source.trainer_elsewhere(source.beginning(true));
  Trainer fresh = source.trainer_elsewhere(source.beginning());
  const std::string told = initialise(trainer);
  CHECK(told.ends_with("): 8 of 9 tokens are its own, 1 are new, 0 of its 8 are not used"));
  const Vocabulary& from = source.corpus.vocabulary();
  const Vocabulary& to = source.other.vocabulary();
  REQUIRE(to.find("h"));
  bool moved = false;
  for (const char* name :
       {"in_emb.weight", "out_emb.weight", "out_emb.bias", "optim.sum.in_emb.weight"}) {
    CAPTURE(name);
    const Tensor theirs = source.of_source(name);
    const bool weight = std::string(name) != "optim.sum.in_emb.weight";
    const Tensor* own = weight ? &value_of(trainer, name) : nullptr;
    for (const auto& [state, tensor] : trainer.optimizer().state()) {
      if (state == name) own = tensor;
    }
    const int64_t width = theirs.elements() / theirs.shape()[0];
    for (int32_t id = 0; id < to.size(); ++id) {
      const auto same = from.find(to.text(id));
      const float* const is = own->data() + id * width;
      if (same) {
        CHECK(std::equal(is, is + width, theirs.data() + *same * width));
        moved = moved || *same != id;
      } else if (weight) {
        CHECK(std::equal(is, is + width, value_of(fresh, name).data() + id * width));
      } else {
        CHECK(std::all_of(is, is + width, [](float x) { return x == 0; }));
      }
    }
  }
  CHECK(moved);
  CHECK(same_bits(value_of(trainer, "key_pe"), source.of_source("key_pe")));
  CHECK_NOTHROW(trainer.step());
}

TEST_CASE("vocabularies that cannot be found are refused by their hash and place") {
  const Source source;
  Trainer trainer = source.trainer_elsewhere(source.beginning());
  fs::rename(source.folder / "corpus", source.folder / "away");
  CHECK_MESSAGE(refusal(trainer).starts_with("[init] expected the vocabulary of " +
                                             source.path.string() + " (8 tokens, SHA-256 "),
                refusal(trainer));
  CHECK(refusal(trainer).ends_with("got none or another; put that corpus back"));
  fs::rename(source.folder / "away", source.folder / "corpus");
  CHECK(refusal(trainer) == "none");
}

TEST_CASE("a longer span limit keeps each distance's vector and each head's z") {
  const Source source;
  TrainingConfig c = source.beginning(true);
  c.model.span_limit = 40;  // of 24
  Trainer trainer = source.trainer(c);
  const Tensor fresh = value_of(trainer, "key_pe").clone();
  initialise(trainer);
  const Tensor theirs = source.of_source("key_pe");
  const Tensor& own = value_of(trainer, "key_pe");
  for (int64_t d = 0; d < 8; ++d) {
    for (int64_t distance = 1; distance <= 40; ++distance) {
      const float is = own.data()[d * 40 + 40 - distance];
      CHECK(is == (distance <= 24 ? theirs.data()[d * 24 + 24 - distance]
                                  : fresh.data()[d * 40 + 40 - distance]));
    }
  }
  const Tensor ratio = source.of_source(kRatio), sum = source.of_source("optim.sum." + kRatio);
  for (int64_t k = 0; k < 2; ++k) {
    CHECK(40 * value_of(trainer, kRatio).data()[k] == doctest::Approx(24 * ratio.data()[k]));
    for (const auto& [name, tensor] : trainer.optimizer().state()) {
      if (name != "optim.sum." + kRatio) continue;  // of (dz/dr)^2
      CHECK(tensor->data()[k] == doctest::Approx(sum.data()[k] * 40 * 40 / 24 / 24));
    }
  }
}

TEST_CASE("other sizes are refused with both") {
  const Source source;
  const auto refused = [&](auto change) {
    TrainingConfig c = source.beginning();
    change(c);
    Trainer trainer = source.trainer(c);
    return refusal(trainer);
  };
  const auto expect = [&](const std::string& found, const std::string& what, const char* now) {
    CHECK_MESSAGE(found.starts_with("[init] expected " + what + " as in " + source.path.string() +
                                    "; got " + now),
                  found);
  };
  expect(refused([](auto& c) { c.model.layers = 3; }), "model.layers 2", "3");
  expect(refused([](auto& c) { c.model.hidden = 32; }), "model.hidden 16", "32");
  expect(refused([](auto& c) { c.model.inner = 64; }), "model.inner 32", "64");
  expect(refused([](auto& c) { c.model.heads = 4; }), "model.heads 2", "4");
  expect(refused([](auto& c) { c.model.persistent = 5; }), "model.persistent 0", "5");
  expect(refused([](auto& c) { c.model.span_kind = SpanKind::fixed; }),
         "model.span_kind.adaptive true", "false");
  expect(refused([](auto& c) { c.model.span_limit = 16; }), "model.span_limit of at least 24",
         "16");
  expect(refused([](auto& c) {
           c.run.init_optimizer = true;
           c.optimizer.kind = OptimizerKind::adam;
         }),
         "optimizer.kind \"adagrad\"", "\"adam\"");
  CHECK(refused([](auto& c) { c.optimizer.kind = OptimizerKind::adam; }) == "none");
  CHECK(refused([](auto& c) {
          c.batch = {.sequences = 2, .block = 4};
          c.model.ramp = 9;
          c.model.dropout = 0;
        }) == "none");
}

TEST_CASE("a longer limit is refused for dynamic spans") {
  const RunPlace place;
  TrainingConfig c = run_config();
  c.model.span_kind = SpanKind::dynamic;
  Trainer source = place.trainer(c);
  save_checkpoint(place.path, source);
  c.run.init_from = place.path.string();
  c.model.span_limit = 48;
  Trainer trainer = place.trainer(c);
  CHECK(refusal(trainer).find("dynamic spans are learned as shares of it") != std::string::npos);
}

struct Quiet : RunObserver {
  void noted(const std::string& line) override { notes.push_back(line); }
  std::vector<std::string> notes;
};

TEST_CASE("a run that began so goes on, is recorded, and can be repeated; or it is refused") {
  const Source source;
  TrainingConfig c = source.beginning();
  c.run.checkpoint = (source.folder / "run" / "c.safetensors").string();
  c.run.steps_per_round = 2;
  c.run.rounds = 2;
  c.run.log_steps = 1;
  const std::atomic<bool> never = false;
  const auto go = [&](const TrainingConfig& config) {
    Trainer trainer = source.trainer(config);
    Quiet quiet;
    run(trainer, quiet, never);
    return quiet.notes;
  };
  CHECK(go(c).at(0).starts_with("begins with the weights of "));
  const std::string hash = SafetensorsFile(source.path).sha256();
  const auto entry = read_manifest(source.folder / "run" / "manifest.json").at(0);
  CHECK(entry.at("init_from").at("sha256") == hash);
  CHECK(entry.at("init_from").at("path") == source.path.string());

  c.run.rounds = 3;
  CHECK(go(c).empty());  // a run that goes on does not begin again
  CHECK(read_header(open_checkpoint(c.run.checkpoint)).progress.origin->sha256 == hash);
  const RunDifference same = reproduce(source.folder / "run", "", 4);
  CHECK(same.first_step == 0);
  CHECK(same.steps_compared == 6);

  const fs::path copy = source.folder / "copy.safetensors";
  fs::copy_file(source.path, copy);
  c.run.rounds = 4;
  c.run.init_from = copy.string();
  CHECK(go(c).empty());  // the same file elsewhere
  Trainer another = source.trainer(source.config());
  save_checkpoint(copy, another);
  c.run.rounds = 5;
  CHECK_THROWS_WITH_AS(
      go(c), Contains("[init] expected run.init_from to be left out, or as the run"), Error);
  c.run.init_from.clear();
  CHECK(go(c).empty());

  fs::copy_file(copy, source.path, fs::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(reproduce(source.folder / "run", "", 4),
                       Contains("[repro] expected the checkpoint whose weights "), Error);
  fs::remove(source.path);
  CHECK_THROWS_AS(reproduce(source.folder / "run", "", 4), Error);
}

TEST_CASE("what cannot begin leaves no folder behind") {
  const Source source;
  TrainingConfig c = source.beginning();
  c.model.layers = 1;
  c.run.checkpoint = (source.folder / "new" / "run" / "c.safetensors").string();
  Trainer trainer = source.trainer(c);
  Quiet quiet;
  const std::atomic<bool> never = false;
  CHECK_THROWS_AS(run(trainer, quiet, never), Error);
  CHECK_FALSE(fs::exists(source.folder / "new"));
}

}  // namespace
}  // namespace adaspan
