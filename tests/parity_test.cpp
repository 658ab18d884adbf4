// SPDX-License-Identifier: MIT
#include "app/parity.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kGolden = ADASPAN_GOLDEN;
constexpr int64_t kSteps = 12;  // of a shortened recording: some early ones, some late

using Names = std::set<std::string>;

/// A recorded run that can be changed.
struct Recording {
  explicit Recording(const std::string& name) {
    const SafetensorsFile file(kGolden / (name + ".safetensors"));
    metadata = file.metadata();
    for (const std::string& tensor : file.names()) {
      if (tensor == "tokens") {
        tensors[tensor] = file.tensor(tensor);
        continue;
      }
      const std::vector<double> values = file.doubles(tensor);
      tensors[tensor] =
          Tensor::of(file.shape(tensor), std::vector<float>(values.begin(), values.end()));
    }
  }
  /// Only the first steps of the training loop; the rest is as it was.
  void shorten() {
    metadata["steps"] = std::to_string(kSteps);
    for (const char* name : {"train.loss", "train.span"}) {
      if (!tensors.contains(name)) continue;
      const Tensor& all = tensors[name];
      std::vector<int64_t> extents = all.shape().extents();
      extents[0] = kSteps;
      const Shape shape(extents);
      tensors[name] = Tensor::of(shape, all.values().first(static_cast<size_t>(shape.elements())));
    }
  }
  float* values(const std::string& name) { return tensors.at(name).data(); }

  fs::path write() const {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : tensors) list.push_back({name, &tensor});
    write_safetensors(folder / "run.safetensors", list, metadata);
    return folder / "run.safetensors";
  }
  /// The names of the rows that do not agree.
  std::set<std::string> failures(DType precision = DType::f32) const {
    std::set<std::string> failed;
    const bool agrees = replay(write(), precision, [&](const ordered_json& row) {
      if (!row["ok"].get<bool>()) failed.insert(row["name"].get<std::string>());
    });
    CHECK(agrees == failed.empty());
    return failed;
  }

  TemporaryFolder folder;
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;
};

/// A short recording that agrees, after one edit.
std::set<std::string> failures_after(const std::function<void(Recording&)>& edit) {
  Recording recording("adaptive");
  recording.shorten();
  edit(recording);
  return recording.failures();
}

TEST_CASE("every recorded run of the reference is reproduced") {
  std::set<std::string> runs;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    const std::string name = entry.path().stem().string();
    CAPTURE(name);
    std::map<std::string, ordered_json> rows;
    CHECK(replay(entry.path(), DType::f32,
                 [&](const ordered_json& row) { rows[row["name"].get<std::string>()] = row; }));
    runs.insert(name);

    const SafetensorsFile file(entry.path());
    for (const std::string& recorded : file.names()) {  // none is left out
      if (recorded.starts_with("init.") || recorded.starts_with("final.")) continue;
      if (recorded == "tokens" || recorded == "block2.total") continue;
      CAPTURE(recorded);
      REQUIRE(rows.contains(recorded));
      CHECK(rows[recorded]["ok"] == true);
      CHECK(rows[recorded]["rel_error"].get<double>() < 1e-2);
    }
    CHECK(rows["train.loss"]["value"].size() == file.doubles("train.loss").size());
    CHECK(rows["block2.loss"]["value"].get<double>() ==
          doctest::Approx(file.doubles("block2.loss")[0]).epsilon(1e-4));
  }
  CHECK(runs.size() >= 7);
  for (const char* name : {"adaptive", "fixed", "dynamic", "adam_split", "sgd_short_cache",
                           "persistent", "adaptive_io"}) {
    CHECK(runs.contains(name));
  }
}

TEST_CASE("every recorded run is reproduced in bf16, within its own bounds") {
  if (!bf16_obstacle().empty()) return;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    CAPTURE(entry.path().stem().string());
    double worst = 0;
    const auto row = [&](const ordered_json& r) {
      INFO(r["name"].get<std::string>());
      CHECK(r["ok"] == true);
      worst = std::max(worst, r["rel_error"].get<double>());
    };
    CHECK(replay(entry.path(), DType::bf16, row));
    CHECK(worst > 1e-3);  // it was bf16
  }
}

TEST_CASE("bf16's bounds notice an altered weight or loss, too") {
  if (!bf16_obstacle().empty()) return;
  const auto failures = [](const std::function<void(Recording&)>& edit) {
    Recording recording("adaptive");
    recording.shorten();
    edit(recording);
    return recording.failures(DType::bf16);
  };
  CHECK(failures([](Recording&) {}).empty());
  const Names failed =
      failures([](Recording& r) { r.values("init.layers.0.norm1.weight")[5] += 3; });
  CHECK(failed.contains("block2.logprob"));
  CHECK(failed.contains("block2.grad.layers.0.norm1.weight"));
  CHECK(failures([](Recording& r) { r.values("block2.loss")[0] *= 1.01f; }) ==
        Names{"block2.loss"});
  CHECK(failures([](Recording& r) { r.values("eval.loss")[0] *= 1.03f; }) == Names{"eval.loss"});
  CHECK(failures([](Recording& r) { r.values("train.loss")[3] *= 1.03f; }) == Names{"train.loss"});
}

TEST_CASE("bf16 is refused where it cannot run") {
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(
      replay(kGolden / "fixed.safetensors", DType::bf16, [](const ordered_json&) {}),
      Contains("[model] expected model.precision f32, since "), Error);
  set_isa(best_isa());
}

TEST_CASE("a shortened recording agrees, so that what follows is the edit's doing") {
  CHECK(failures_after([](Recording&) {}).empty());
}

TEST_CASE("one altered starting weight is noticed") {
  const Names failed =
      failures_after([](Recording& r) { r.values("init.layers.0.ff.fc1.weight")[5] += 0.5f; });
  CHECK(failed.contains("block2.logprob"));
  CHECK(failed.contains("block2.grad.layers.0.ff.fc1.weight"));
}

TEST_CASE("one altered recorded value is noticed, and only it") {
  const auto scaled = [](const char* name, int64_t i, float factor) {
    return failures_after([=](Recording& r) { r.values(name)[i] *= factor; });
  };
  CHECK(scaled("block2.loss", 0, 1.0003f) == Names{"block2.loss"});
  CHECK(scaled("train.loss", 3, 1.002f) == Names{"train.loss"});  // early: to 1e-3
  CHECK(scaled("train.loss", 11, 1.002f) == Names{});             // late: to 1e-2
  CHECK(scaled("train.loss", 11, 1.02f) == Names{"train.loss"});
  CHECK(scaled("eval.loss", 0, 1.02f) == Names{"eval.loss"});
  CHECK(failures_after([](Recording& r) { r.values("final.out_emb.bias")[3] += 5; }) ==
        Names{"eval.loss"});
  const char* bias = "block2.grad.out_emb.bias";
  CHECK(failures_after([&](Recording& r) { r.values(bias)[2] += 0.01f; }) == Names{bias});
  CHECK(failures_after([](Recording& r) { r.values("train.span")[9] += 0.1f; }) ==
        Names{"train.span"});
}

TEST_CASE("a recorded value that is no number never agrees") {
  const auto nan = [](const char* name) {
    return failures_after(
        [=](Recording& r) { r.values(name)[0] = std::numeric_limits<float>::quiet_NaN(); });
  };
  CHECK(nan("block2.loss") == Names{"block2.loss"});
  CHECK(nan("train.loss") == Names{"train.loss"});
}

TEST_CASE("one altered weight of adaptive input and output is noticed") {
  const auto failures = [](const std::string& name, float by) {
    Recording recording("adaptive_io");
    recording.shorten();
    if (by != 0) recording.values("init." + name)[1] += by;
    return recording.failures();
  };
  CHECK(failures("in_emb.emb_projs.0", 0).empty());
  for (const char* name :
       {"in_emb.emb_layers.2.weight", "in_emb.emb_projs.1", "out_emb.cluster_proj.weight",
        "out_emb.cluster_proj.bias", "out_emb.out_layers.1.bias"}) {
    CAPTURE(name);
    CHECK(failures(name, 3).contains("block2.loss"));
  }
}

TEST_CASE("a file that is no recorded run is refused") {
  const TemporaryFolder folder;
  const Tensor tensor = Tensor::zeros({2});
  write_safetensors(folder / "other.safetensors", {{"x", &tensor}}, {});
  const auto rows = [](const ordered_json&) {};
  CHECK_THROWS_WITH_AS(replay(folder / "other.safetensors", DType::f32, rows),
                       Contains("[safetensors] expected \"adapt_span\" in the header"), Error);
  CHECK_THROWS_WITH_AS(replay(folder / "none.safetensors", DType::f32, rows),
                       Contains("[file] expected"), Error);
}

TEST_CASE("a recording that contradicts itself is refused") {
  Recording recording("fixed");
  SUBCASE("weights of another shape") {
    recording.tensors["init.layers.0.norm1.bias"] = Tensor::zeros({3});
    CHECK_THROWS_WITH_AS(recording.failures(),
                         "[parity] expected layers.0.norm1.bias of shape [32]; got [3]", Error);
  }
  SUBCASE("another number of steps") {
    recording.shorten();
    recording.metadata["steps"] = "3";
    CHECK_THROWS_WITH_AS(recording.failures(), "[parity] expected 3 steps of train.loss; got 12",
                         Error);
  }
  SUBCASE("a size that is none") {
    recording.metadata["layers"] = "two";
    CHECK_THROWS_WITH_AS(recording.failures(),
                         Contains("expected model.layers to be a whole number"), Error);
  }
}

}  // namespace
}  // namespace adaspan
