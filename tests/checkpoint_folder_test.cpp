// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint_folder.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "adaspan/core/error.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

using doctest::Contains;
namespace fs = std::filesystem;

/// A run in a folder of its own, saved after 1, 2, 3 ... steps.
struct Saved {
  explicit Saved(int64_t keep_last, int64_t saves, int64_t best = 0) {
    CheckpointFolder folder(path, keep_last);
    for (int64_t i = 1; i <= saves; ++i) {
      run.step();
      folder.save(run, /*best=*/i == best);
    }
  }
  /// The step that another run goes on from; throws as resume does.
  int64_t resumed_at(std::vector<std::string>* skipped = nullptr) const {
    Trainer other = place.trainer(run_config());
    CheckpointFolder folder(path, 2);
    const auto resumption = folder.resume(other);
    if (skipped && resumption) *skipped = resumption->skipped;
    return resumption ? other.steps_done() : -1;
  }
  fs::path beside(const std::string& name) const { return path.parent_path() / name; }
  /// Checkpoints there, without the lock.
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(path.parent_path())) {
      const std::string name = entry.path().filename().string();
      if (name.find(".safetensors") != std::string::npos) all.insert(name);
    }
    return all;
  }

  RunPlace place;
  fs::path path = place.folder / "run" / "c.safetensors";
  Trainer run = place.trainer(run_config());
};

int64_t step_of(const fs::path& path) {
  return read_header(open_checkpoint(path)).progress.step;
}

void flip(const fs::path& path, size_t i) {
  std::string bytes = read_text(path);
  bytes[i] ^= 1;
  atomic_write(path, bytes);
}

TEST_CASE("the last ones are kept, older ones by their step, and the best") {
  const Saved one(1, 4, 2), three(3, 5, 2);
  CHECK(one.names() == std::set<std::string>{"best.safetensors", "c.safetensors"});
  CHECK(three.names() == std::set<std::string>{"best.safetensors", "c.safetensors",
                                               "c.step-3.safetensors", "c.step-4.safetensors"});
  CHECK(step_of(three.path) == 5);
  CHECK(step_of(three.beside("c.step-3.safetensors")) == 3);
  CHECK(step_of(three.beside("best.safetensors")) == 2);
  CHECK(three.resumed_at() == 5);
}

TEST_CASE("a folder without checkpoints resumes nothing") {
  CHECK(Saved(2, 0).resumed_at() == -1);
}

TEST_CASE("a damaged checkpoint is passed over, named and set aside, and the one before goes on") {
  const Saved saved(3, 4, 1);
  flip(saved.path, read_text(saved.path).size() - 1);
  const std::string damaged = read_text(saved.path);
  std::vector<std::string> skipped;
  CHECK(saved.resumed_at(&skipped) == 3);
  REQUIRE(skipped.size() == 1);
  CHECK_MESSAGE(skipped[0].starts_with("skipped " + saved.path.string() + ", now " +
                                       saved.path.string() + ".damaged-1: "),
                skipped[0]);
  CHECK(read_text(saved.path.string() + ".damaged-1") == damaged);  // nothing is ever deleted
  CHECK_FALSE(fs::exists(saved.path));
  CHECK(saved.resumed_at() == 3);

  flip(saved.beside("c.step-3.safetensors"), 3000);
  flip(saved.beside("c.step-2.safetensors"), 3000);
  CHECK(saved.resumed_at(&skipped) == 1);  // the best one
  CHECK(skipped.size() == 2);
}

TEST_CASE("the best one goes on where it is newer than the others that are whole") {
  const Saved saved(3, 4, 4);
  flip(saved.path, 2000);
  CHECK(saved.resumed_at() == 4);
  flip(saved.beside("best.safetensors"), 0);
  CHECK(saved.resumed_at() == 3);
  for (const char* name : {"c.step-3.safetensors", "c.step-2.safetensors"}) {
    fs::remove(saved.beside(name));
  }
  CHECK(saved.resumed_at() == -1);  // a best one alone may be another run's
}

TEST_CASE("when all are damaged nothing starts anew, and they stay") {
  const Saved saved(2, 2, 1);
  for (const std::string& name : saved.names()) flip(saved.beside(name), 2000);
  const std::set<std::string> before = saved.names();
  CHECK_THROWS_WITH_AS(saved.resumed_at(), Contains("expected a whole checkpoint in "), Error);
  CHECK_THROWS_WITH_AS(saved.resumed_at(), Contains("; got 3 damaged ones, the newest: "), Error);
  CHECK(saved.names() == before);
}

TEST_CASE("a checkpoint of another run is an error, not damage") {
  const Saved saved(2, 2);
  Trainer other = saved.place.trainer(tiny_config());
  CheckpointFolder folder(saved.path, 2);
  CHECK_THROWS_WITH_AS(folder.resume(other),
                       Contains("[checkpoint] expected model.span_kind.adaptive true as in "),
                       Error);
  CHECK(fs::exists(saved.path));
}

TEST_CASE("two runs cannot be in one folder") {
  const Saved saved(2, 1);
  const CheckpointFolder first(saved.path, 2);
  CHECK_THROWS_WITH_AS(CheckpointFolder(saved.path, 2), Contains("another"), Error);
}

TEST_CASE("a flipped bit of any byte is found") {
  const RunPlace place;
  TrainingConfig smallest = run_config();
  smallest.model.layers = 1;
  smallest.model.hidden = smallest.model.inner = smallest.model.heads = 2;
  smallest.model.span_limit = smallest.batch.block = 4;
  Trainer run = place.trainer(smallest);
  run.step();
  save_checkpoint(place.path, run);
  const std::string whole = read_text(place.path);
  // In place: a file that is cut to nothing and written again waits for the disk, each time.
  std::fstream file(place.path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](size_t i, int byte) {
    file.seekp(static_cast<std::streamoff>(i));
    file.put(static_cast<char>(byte)).flush();
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    put(i, whole[i] ^ (1 << (i % 8)));
    CAPTURE(i);
    CHECK_THROWS_AS(open_checkpoint(place.path), DamagedFile);
    put(i, whole[i]);
  }
  CHECK_NOTHROW(open_checkpoint(place.path));
  MESSAGE(whole.size(), " bytes flipped, one bit of each");
}

TEST_CASE("a checkpoint cut at any hundredth of its length is found") {
  const Saved saved(2, 2);
  const std::string whole = read_text(saved.path);
  for (size_t percent = 0; percent < 100; ++percent) {
    CAPTURE(percent);
    std::ofstream(saved.path, std::ios::binary) << whole.substr(0, whole.size() * percent / 100);
    CHECK_THROWS_AS(open_checkpoint(saved.path), DamagedFile);
    if (percent % 10 == 0) CHECK(saved.resumed_at() == 1);
  }
}

TEST_CASE("a disk that is full at any moment of a save leaves a checkpoint to go on from") {
  Saved saved(2, 2, 1);
  const size_t size = read_text(saved.path).size();
  for (size_t limit = 0; limit < size; limit += size / 10 + 1) {
    CAPTURE(limit);
    Trainer run = saved.place.trainer(run_config());
    CheckpointFolder folder(saved.path, 2);
    REQUIRE(folder.resume(run));
    const int64_t before = run.steps_done();
    run.step();
    {
      const FileSizeLimit full(limit);
      CHECK_THROWS_WITH_AS(folder.save(run, limit % 2 == 0), Contains("[file] expected to write "),
                           Error);
    }
    CHECK(step_of(saved.path) == before);
    CHECK(step_of(saved.beside("best.safetensors")) == 1);
  }
}

}  // namespace
}  // namespace adaspan
