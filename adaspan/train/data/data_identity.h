// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace adaspan {

/// Which data a model is trained on: all that a checkpoint keeps of it, to refuse other data later.
struct DataIdentity {
  /// The size alone tells the data where there are no files to hash, as for tokens made in memory.
  DataIdentity(int64_t size, std::string ids_hash = "", std::string hash = "")
      : vocabulary(size), vocabulary_hash(std::move(ids_hash)), text_hash(std::move(hash)) {}

  int64_t vocabulary;           ///< V, kinds of token
  std::string vocabulary_hash;  ///< SHA-256: same hash, same ids; empty if unknown
  std::string text_hash;        ///< SHA-256: same hash, same text; empty if unknown
};

}  // namespace adaspan
