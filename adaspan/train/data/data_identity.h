// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace adaspan {

/// Which data a model is trained on: all that a checkpoint keeps of it, to refuse other data later.
struct DataIdentity {
  /// The size alone tells the data where there are no files to hash, as for tokens made in memory.
  DataIdentity(int64_t size, std::string ids_hash = "", std::string hash = "",
               std::array<std::string, 3> of_parts = {}, std::string read_as = "")
      : vocabulary(size),
        vocabulary_hash(std::move(ids_hash)),
        text_hash(std::move(hash)),
        part_hashes(std::move(of_parts)),
        reading(std::move(read_as)) {}

  int64_t vocabulary;           ///< V, kinds of token
  std::string vocabulary_hash;  ///< SHA-256: same hash, same ids; empty if unknown
  std::string text_hash;        ///< SHA-256: same hash, same text; empty if unknown
  /// SHA-256 of the token files of train, valid, test: same text cut at the same places; empty if
  /// unknown.
  std::array<std::string, 3> part_hashes;
  std::string reading;  ///< how the text became tokens (text_of(Reading)); empty if unknown
};

}  // namespace adaspan
