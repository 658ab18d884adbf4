// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run_start.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/metrics.h"
#include "adaspan/train/run/run.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

/// Collects what is told; does something after a step.
struct Listener : RunObserver {
  void started(const std::optional<Resumption>& from,
               const nlohmann::ordered_json& entry) override {
    begun_at = entry.at("step").get<int64_t>();
    path = from ? from->path : fs::path();
  }
  void noted(const std::string& line) override { notes.push_back(line); }
  void already_done(int64_t step) override { done_at = step; }
  void stepped(const StepReport& report, double) override {
    if (report.step == event_step) event();
  }

  int64_t begun_at = -1, done_at = -1;
  fs::path path;
  std::vector<std::string> notes;
  int64_t event_step = -1;
  std::function<void()> event;
};

/// Runs of 2 steps a round in the folder "run".
struct Place : RunPlace {
  TrainingConfig config(const char* name = "c.safetensors", int64_t rounds = 3) const {
    TrainingConfig c = run_config();
    c.run.checkpoint = (dir / name).string();
    c.run.steps_per_round = 2;
    c.run.rounds = rounds;
    c.run.log_steps = 1;
    return c;
  }
  Listener go(const TrainingConfig& c, Listener listener = {}) const {
    Trainer run_trainer = trainer(c);
    const std::atomic<bool> never = false;
    run(run_trainer, listener, never);
    return listener;
  }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(dir)) {
      all.insert(entry.path().filename().string());
    }
    return all;
  }
  std::string refusal(const TrainingConfig& c) const {
    try {
      go(c);
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  }

  fs::path dir = folder / "run";
};

std::vector<int64_t> steps_in(const fs::path& metrics) {
  std::vector<int64_t> steps;
  for (const auto& line : read_metrics(metrics)) {
    if (line.contains("grad_norm")) steps.push_back(line["step"].get<int64_t>());
  }
  return steps;
}

std::vector<int64_t> one_to(int64_t n) {
  std::vector<int64_t> all;
  for (int64_t i = 1; i <= n; ++i) all.push_back(i);
  return all;
}

TEST_CASE("a folder belongs to one run, and says whose it is") {
  const Place place;
  place.go(place.config());
  const std::string metrics = read_text(place.dir / "metrics.jsonl");
  const std::string best = read_text(place.dir / "best.safetensors");
  CHECK_MESSAGE(place.refusal(place.config("d.safetensors"))
                        .find("got that of another run, " +
                              (place.dir / "c.safetensors").string()) != std::string::npos,
                place.refusal(place.config("d.safetensors")));
  CHECK(read_text(place.dir / "metrics.jsonl") == metrics);
  CHECK(read_text(place.dir / "best.safetensors") == best);
  fs::remove(place.dir / "c.safetensors");  // its records are still there
  CHECK(place.refusal(place.config("d.safetensors")).find("another run") != std::string::npos);
}

TEST_CASE("a folder of an earlier version tells it by its last configuration") {
  const Place place;
  place.go(place.config());
  const fs::path path = place.dir / "manifest.json";
  auto manifest = nlohmann::ordered_json::parse(read_text(path));
  manifest.erase("checkpoint");
  manifest.erase("saved");
  atomic_write(path, manifest.dump());
  CHECK(place.refusal(place.config("d.safetensors")).find("another run") != std::string::npos);
  CHECK(place.go(place.config("c.safetensors", 4)).begun_at == 6);
}

TEST_CASE("a checkpoint that was renamed goes on under its new name") {
  const Place place;
  place.go(place.config());
  fs::rename(place.dir / "c.safetensors", place.dir / "d.safetensors");
  CHECK(place.go(place.config("d.safetensors", 4)).begun_at == 6);
  CHECK(read_whole_manifest(place.dir / "manifest.json").checkpoint == "d.safetensors");
}

TEST_CASE("a run that was ended after its last checkpoint, before its manifest, tells of both") {
  const Place place;
  place.go(place.config());
  const fs::path path = place.dir / "manifest.json";
  const std::string whole = read_text(path);
  Manifest manifest = read_whole_manifest(path);
  REQUIRE(manifest.saved == 6);
  manifest.saved = 4;
  write_manifest(path, manifest);
  place.go(place.config());
  CHECK(read_text(path) == whole);
}

TEST_CASE("records of a run without its checkpoint are not started over") {
  const Place place;
  place.go(place.config());
  const std::string metrics = read_text(place.dir / "metrics.jsonl");
  for (const char* name : {"c.safetensors", "c.step-4.safetensors"}) fs::remove(place.dir / name);
  Listener aside;
  if (read_header(open_checkpoint(place.dir / "best.safetensors")).progress.step < 6) {
    CHECK_MESSAGE(place.refusal(place.config()).find("records up to step 6; got none; copy ") !=
                      std::string::npos,
                  place.refusal(place.config()));
  }
  fs::remove(place.dir / "best.safetensors");
  CHECK_MESSAGE(place.refusal(place.config())
                        .find("records up to step 6; got none; give a run.checkpoint in another "
                              "folder to start anew, or move this one away") != std::string::npos,
                place.refusal(place.config()));
  CHECK(read_text(place.dir / "metrics.jsonl") == metrics);
  fs::remove(place.dir / "manifest.json");  // the metrics tell it as well
  CHECK(place.refusal(place.config()).find("records up to step 6") != std::string::npos);
}

TEST_CASE("metrics of something else are not written over") {
  const Place place;
  fs::create_directories(place.dir);
  atomic_write(place.dir / "metrics.jsonl", "mine\n");
  const std::string refusal = place.refusal(place.config());
  CHECK_MESSAGE(refusal.starts_with("[run] expected no "), refusal);
  CHECK(read_text(place.dir / "metrics.jsonl") == "mine\n");
}

TEST_CASE("a run that was ended before its first checkpoint begins again") {
  const Place place;
  Listener dies;
  dies.event_step = 1;
  dies.event = [] { fail("killed"); };
  CHECK_THROWS_AS(place.go(place.config(), dies), Error);
  CHECK(place.names() == std::set<std::string>{"manifest.json", "metrics.jsonl"});
  CHECK(place.go(place.config()).begun_at == 0);
  CHECK(steps_in(place.dir / "metrics.jsonl") == one_to(6));
}

TEST_CASE("a run that was ended between its first two files goes on from the best one") {
  const Place place;
  place.go(place.config("c.safetensors", 1));
  fs::remove(place.dir / "c.safetensors");
  const Listener again = place.go(place.config());
  CHECK(again.begun_at == 2);
  CHECK(again.path == place.dir / "best.safetensors");
  CHECK(steps_in(place.dir / "metrics.jsonl") == one_to(6));
}

TEST_CASE("a checkpoint that is moved away while the run goes on is saved all the same") {
  const Place place, undisturbed;
  Listener mover;
  mover.event_step = 3;
  mover.event = [&] { fs::rename(place.dir / "c.safetensors", place.folder / "away"); };
  place.go(place.config(), mover);
  undisturbed.go(undisturbed.config());
  CHECK(read_text(place.dir / "c.safetensors") == read_text(undisturbed.dir / "c.safetensors"));
  CHECK(steps_in(place.dir / "metrics.jsonl") == one_to(6));
}

TEST_CASE("a folder that is removed while the run goes on is made again, with whole records") {
  const Place place, undisturbed;
  undisturbed.go(undisturbed.config());
  Listener remover;
  remover.event_step = 3;
  SUBCASE("removed") {
    remover.event = [&] { fs::remove_all(place.dir); };
  }
  SUBCASE("moved") {
    remover.event = [&] { fs::rename(place.dir, place.folder / "moved"); };
  }
  SUBCASE("another run's in its place") {
    remover.event = [&] {
      fs::rename(place.dir, place.folder / "moved");
      fs::create_directory(place.dir);
      for (const char* name : {"c.safetensors", "metrics.jsonl", "manifest.json"}) {
        atomic_write(place.dir / name, "other");
      }
    };
  }
  const Listener told = place.go(place.config(), remover);
  REQUIRE(told.notes.size() >= 1);
  CHECK(told.notes[0].find("made again") != std::string::npos);
  CHECK(steps_in(place.dir / "metrics.jsonl") == one_to(6));
  CHECK(read_manifest(place.dir / "manifest.json").size() == 1);
  CHECK(fs::exists(place.dir / "best.safetensors"));
  for (const char* name : {"c.safetensors", "metrics.jsonl", "manifest.json"}) {
    const fs::path aside = place.dir / (std::string(name) + ".set-aside-1");
    if (fs::exists(aside)) CHECK(read_text(aside) == "other");
  }
  CHECK(place.go(place.config("c.safetensors", 4)).begun_at == 6);
}

TEST_CASE("what is later than the step gone back to is set aside, and told") {
  const Place place;
  TrainingConfig c = place.config("c.safetensors", 5);
  c.run.keep_last = 5;
  place.go(c);
  fs::copy_file(place.dir / "c.step-4.safetensors", place.dir / "c.safetensors",
                fs::copy_options::overwrite_existing);
  const std::string metrics = read_text(place.dir / "metrics.jsonl");
  c.schedule.learning_rate = 1e-3;
  c.run.rounds = 4;
  const Listener told = place.go(c);
  CHECK(told.begun_at == 4);
  REQUIRE(told.notes.size() >= 1);
  CHECK_MESSAGE(told.notes[0].starts_with("gone back to step 4: what was made after it is now "),
                told.notes[0]);
  for (const char* name : {"c.step-6.safetensors", "c.step-8.safetensors"}) {
    CHECK(told.notes[0].find(std::string(name) + ".set-aside-1") != std::string::npos);
    CHECK(fs::exists(place.dir / (std::string(name) + ".set-aside-1")));
  }
  CHECK(read_text(place.dir / "metrics.jsonl.set-aside-1") == metrics);
  CHECK(steps_in(place.dir / "metrics.jsonl") == one_to(8));
  CHECK(
      read_header(open_checkpoint(place.dir / "best.safetensors")).config.schedule.learning_rate !=
      0.0);
  if (fs::exists(place.dir / "best.safetensors")) {
    const CheckpointHeader best = read_header(open_checkpoint(place.dir / "best.safetensors"));
    CHECK((best.progress.step <= 4 || best.config.schedule.learning_rate == 1e-3));
  }
}

TEST_CASE("a run that goes on as it was sets nothing aside") {
  const Place place;
  place.go(place.config());
  const Listener told = place.go(place.config("c.safetensors", 5));
  CHECK(told.notes.empty());
  for (const std::string& name : place.names()) CHECK(name.find("aside") == std::string::npos);
}

TEST_CASE("a finished run says so and writes nothing") {
  const Place place;
  place.go(place.config());
  const auto snapshot = [&] {
    std::string all;
    for (const std::string& name : place.names()) all += name + read_text(place.dir / name);
    return all;
  };
  const std::string before = snapshot();
  const Listener told = place.go(place.config());
  CHECK(told.done_at == 6);
  CHECK(told.begun_at == -1);
  CHECK(snapshot() == before);
}

TEST_CASE("a run of so many steps ends there, validated and saved, within a round") {
  const Place place;
  TrainingConfig c = place.config();
  c.run.total_steps = 5;
  place.go(c);
  CHECK(read_header(open_checkpoint(c.run.checkpoint)).progress.step == 5);
  CHECK(read_metrics(place.dir / "metrics.jsonl").back().contains("valid_loss"));
  CHECK(place.go(c).done_at == 5);
}

TEST_CASE("names that fall on a run's own files are refused, and no folder is made") {
  const Place place;
  for (const char* name : {"best.safetensors", "metrics.jsonl", "manifest.json", "c.tmp",
                           "best.safetensors.tmp", "c.step-20.safetensors", "c.step-3"}) {
    CAPTURE(name);
    CHECK(place.refusal(place.config(name))
              .starts_with("[checkpoint] expected another run.checkpoint than "));
  }
  CHECK(place.refusal(place.config("")).find("with the name of a file") != std::string::npos);
  CHECK(place.refusal(place.config((std::string(226, 'x') + ".safetensors").c_str()))
            .starts_with("[checkpoint] expected a name of at most "));
  std::string deep;
  for (int i = 0; i < 30; ++i) deep += std::string(150, 'd') + "/";
  CHECK(place.refusal(place.config((deep + "c").c_str()))
            .starts_with("[checkpoint] expected a path of at most "));
  CHECK_FALSE(fs::exists(place.dir));
  CHECK(place.refusal(place.config("c.step-x.safetensors")) == "none");
}

TEST_CASE("the longest name that is taken can be saved, kept and set aside") {
  const Place place;
  const std::string refused =
      place.refusal(place.config((std::string(240, 'x') + ".safetensors").c_str()));
  size_t most = 0;
  REQUIRE(std::sscanf(refused.c_str(), "[checkpoint] expected a name of at most %zu", &most) == 1);
  const std::string longest = std::string(most - 12, 'x') + ".safetensors";
  CHECK(place.refusal(place.config(longest.c_str())) == "none");
  CHECK(place.refusal(place.config(("x" + longest).c_str())) != "none");
}

TEST_CASE("a place that cannot take a run's files is refused at the start") {
  const Place place;
  fs::create_directories(place.dir / "c.safetensors");
  CHECK(place.refusal(place.config()).find("got a folder or device") != std::string::npos);
  fs::remove(place.dir / "c.safetensors");
  fs::create_directories(place.dir / "metrics.jsonl");
  CHECK(place.refusal(place.config()).find("got a folder or device") != std::string::npos);
  fs::remove_all(place.dir);
  atomic_write(place.dir, "a file");
  CHECK(place.refusal(place.config()).find("which is a file") != std::string::npos);
  CHECK(place.refusal(place.config("sub/c")).find("which is a file") != std::string::npos);
  fs::remove(place.dir);
  if (::geteuid() == 0) return;  // who may write everywhere
  fs::create_directory(place.dir);
  ::chmod(place.dir.c_str(), 0555);
  CHECK(place.refusal(place.config()).find("a folder that can be written") != std::string::npos);
  ::chmod(place.dir.c_str(), 0755);
}

TEST_CASE("a disk without room for two checkpoints is refused with both numbers") {
  const Place place;
  RunConfig c = place.config().run;
  CHECK_NOTHROW(check_place(c, 1000));
  CHECK_THROWS_WITH_AS(check_place(c, uint64_t{1} << 60),
                       Contains("[checkpoint] expected 2305843009213.7 MB of free space in "),
                       Error);
  CHECK_FALSE(fs::exists(place.dir));
}

TEST_CASE("a file of the corpus is no place for a checkpoint") {
  const Place place;
  TrainingConfig c = place.config();
  c.run.data = (place.folder / "corpus").string();
  for (const char* name : {"corpus/train.tok", "corpus/corpus.json", "corpus/vocab.txt", "text"}) {
    c.run.checkpoint = (place.folder / name).string();
    const std::string before = read_text(c.run.checkpoint);
    CHECK_MESSAGE(place.refusal(c).find("got a file of the corpus in ") != std::string::npos,
                  place.refusal(c));
    CHECK(read_text(c.run.checkpoint) == before);
  }
}

TEST_CASE("the best is looked for anew where validation reads other text, and that is told") {
  const Place place;
  place.go(place.config());
  TrainingConfig c = place.config("c.safetensors", 4);
  c.run.validation = ValidationMode::fixed;
  const Listener told = place.go(c);
  REQUIRE(told.notes.size() == 1);
  CHECK(told.notes[0].starts_with(
      "validation reads other text than before, as run.validation and run.steps_per_round say: "));
  CHECK(told.notes[0].ends_with(" bpc, is forgotten"));
  CHECK(read_header(open_checkpoint(place.dir / "best.safetensors")).progress.step == 8);
  CHECK(place.go(place.config("c.safetensors", 5)).notes.size() == 1);  // and back
}

TEST_CASE("a best checkpoint that is gone is replaced by the next one") {
  const Place place;
  place.go(place.config());
  fs::remove(place.dir / "best.safetensors");
  const Listener told = place.go(place.config("c.safetensors", 4));
  REQUIRE(told.notes.size() == 1);
  CHECK(told.notes[0].starts_with("the best checkpoint is gone: its loss, "));
  CHECK(read_header(open_checkpoint(place.dir / "best.safetensors")).progress.step == 8);
}

TEST_CASE("text that is lost while a run reads it costs no step") {
  const Place place;
  const TrainingConfig c = place.config();
  bool lost = false;
  TokenStream train = TokenStream::of(place.corpus, Part::train);
  train.read = [&, read = train.read](int64_t begin, int64_t count, int32_t* out) {
    if (lost) throw DataLost("[data] expected the text; got less of it");
    read(begin, count, out);
  };
  Listener loser;
  loser.event_step = 3;
  loser.event = [&] { lost = true; };
  const std::atomic<bool> never = false;
  {
    Trainer trainer(c, place.corpus.identity(), train, TokenStream::of(place.corpus, Part::valid));
    CHECK_THROWS_WITH_AS(run(trainer, loser, never),
                         Contains("got less of it; all up to step 3 is saved in "), DataLost);
  }
  const Place undisturbed;
  undisturbed.go(undisturbed.config());
  CHECK(place.go(c).begun_at == 3);
  CHECK(read_text(place.dir / "c.safetensors") == read_text(undisturbed.dir / "c.safetensors"));
}

}  // namespace
}  // namespace adaspan
