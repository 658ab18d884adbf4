// SPDX-License-Identifier: MIT
// The records of a run: the first line is its manifest.json, the others are its metrics.jsonl.
#include "adaspan/train/run/run_difference.h"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "adaspan/core/file.h"
#include "adaspan/train/run/manifest.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

const ordered_json kEntry = {
    {"step", 2},
    {"configuration", {{"lr", 0.07}, {"checkpoint", "run/model"}}},
    {"environment", {{"isa", "avx2"}}},
    {"data", {{"text_sha256", "ba78"}}},
};

void write_run(const std::filesystem::path& folder, std::string_view manifest,
               std::string_view metrics) {
  make_folder_of(folder / "any");
  atomic_write(folder / "manifest.json", manifest);
  atomic_write(folder / "metrics.jsonl", metrics);
}

std::filesystem::path other_run(const std::filesystem::path& folder) {
  write_run(folder, ordered_json{{"starts", ordered_json::array({kEntry})}}.dump(),
            R"({"step":1,"loss":2.5,"spans":[[1.5]],"chars_per_s":9})"
            "\n"
            R"({"step":1,"valid_loss":2.25})"
            "\n");
  return folder;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  static const std::filesystem::path other = other_run(folder / "other");
  const std::filesystem::path run = folder / "run", manifest = run / "manifest.json";
  const size_t end = std::min(input.find('\n'), input.size());
  write_run(run, input.substr(0, end), input.substr(std::min(end + 1, input.size())));
  allow_error([&] {
    const RunDifference none = compare_runs(run, run);
    assert(none.first_step == 0 && none.numbers.empty() && none.settings.empty());
  });
  allow_error([&] { compare_runs(run, other); });

  record_start(manifest, kEntry, "c.safetensors");
  ordered_json last = read_manifest(manifest).back();
  last["step"] = kEntry["step"];  // an entry of which only this is new is not added
  assert(last == kEntry);
}

}  // namespace adaspan
