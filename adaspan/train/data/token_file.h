// SPDX-License-Identifier: MIT
// A part of a corpus on disk: token ids of 1, 2 or 4 bytes each, the fewest that hold the largest.
//   8 bytes "adatoken" | u32 version | u32 bytes per id | u64 number of ids | the ids
// All numbers are little-endian. Opened files are mapped, so a corpus costs no memory of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include <adaspan/core/file.h>

namespace adaspan {

class TokenFile {
 public:
  /// Throws Error when the file cannot be read, is cut short, is no token file, or has an id that
  /// is not below `vocabulary_size` (every id is looked at).
  TokenFile(const std::filesystem::path& path, int64_t vocabulary_size);

  int64_t size() const { return size_; }
  /// The id at `i`, which must be in [0, size()).
  int32_t operator[](int64_t i) const;
  /// Copies the ids of [begin, begin + n) to `out`. Throws Error when they are not all there.
  void read(int64_t begin, int64_t n, int32_t* out) const;

 private:
  template <class Use>
  auto with_ids(const Use& use) const;

  MappedFile file_;
  int bytes_per_id_ = 1;
  int64_t size_ = 0;
};

/// Writes a token file by atomic_write; the ids must be in [0, vocabulary_size). Throws Error as
/// atomic_write does.
void write_token_file(const std::filesystem::path& path, std::span<const int32_t> ids,
                      int64_t vocabulary_size);

}  // namespace adaspan
