// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace adaspan {

/// Which data a model is trained on: all that a checkpoint keeps of it, to refuse other data later.
struct DataIdentity {
  /// The size alone tells the data where there are no files to hash, as for tokens made in memory.
  DataIdentity(int64_t vocabulary, std::string vocabulary_hash = "", std::string text_hash = "")
      : vocabulary(vocabulary),
        vocabulary_hash(std::move(vocabulary_hash)),
        text_hash(std::move(text_hash)) {}

  int64_t vocabulary;           ///< V, kinds of token
  std::string vocabulary_hash;  ///< SHA-256: same hash, same ids; empty if unknown
  std::string text_hash;        ///< SHA-256: same hash, same text; empty if unknown
};

}  // namespace adaspan
