// SPDX-License-Identifier: MIT
#include "adaspan/train/data/corpus_record.h"

#include <cassert>

#include "adaspan/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

/// Writes what was read; returns the file.
std::string rewritten(const std::filesystem::path& folder) {
  write_corpus_record(folder, read_corpus_record(folder));
  return read_text(corpus_record_path(folder));
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(corpus_record_path(folder.path()), input);
  const std::string once = rewritten(folder.path());
  assert(rewritten(folder.path()) == once);
}

}  // namespace adaspan
