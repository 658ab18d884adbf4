// SPDX-License-Identifier: MIT
#include "adaspan/train/data/token_file.h"

#include <cassert>
#include <vector>

#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

std::vector<int32_t> ids_of(const TokenFile& file) {
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.read(0, file.size(), ids.data());
  return ids;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(folder / "input", input);
  for (const int64_t vocabulary_size : {1 << 8, 1 << 16, 1 << 30}) {  // written in 1, 2, 4 bytes
    allow_error([&] {
      const std::vector<int32_t> ids = ids_of(TokenFile(folder / "input", vocabulary_size));
      write_token_file(folder / "copy", ids, vocabulary_size);
      assert(ids_of(TokenFile(folder / "copy", vocabulary_size)) == ids);
    });
  }
}

}  // namespace adaspan
