// SPDX-License-Identifier: MIT
// A run that goes on with the metrics.jsonl that it finds.
#include "adaspan/train/run/metrics.h"

#include <cassert>

#include "adaspan/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

constexpr int64_t kStepsDone = 20;

/// What is left of the file.
std::string go_on(const std::filesystem::path& path) {
  const MetricsFile file(path, kStepsDone);
  std::string text = read_text(path);
  assert(file.fresh() == text.empty());
  return text;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  const std::filesystem::path path = folder / "metrics.jsonl";
  atomic_write(path, input);
  const std::string kept = go_on(path);
  assert(go_on(path) == kept);
}

}  // namespace adaspan
