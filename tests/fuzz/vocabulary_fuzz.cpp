// SPDX-License-Identifier: MIT
#include "adaspan/train/data/vocabulary.h"

#include <cassert>

#include "tests/fuzz/target.h"

namespace adaspan {

void read_input(std::string_view input) {
  const Vocabulary vocabulary = Vocabulary::parse(input);
  const Vocabulary copy = Vocabulary::parse(vocabulary.file_text());
  assert(copy.size() == vocabulary.size());
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const Token token = vocabulary.token(id), copied = copy.token(id);
    assert(token.bytes == copied.bytes && token.end_of_line == copied.end_of_line);
    assert(vocabulary.find(token.bytes).has_value());
  }
}

}  // namespace adaspan
