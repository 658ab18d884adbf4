// SPDX-License-Identifier: MIT
// A part of a corpus on disk: token ids of 1, 2 or 4 bytes each, the fewest that hold the largest.
//   8 bytes "adatoken" | u32 version | u32 bytes per id | u64 number of ids | the ids
// All numbers are little-endian. Ids are read when they are asked for, so a corpus costs no memory
// of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include <adaspan/core/file.h>

namespace adaspan {

class TokenFile {
 public:
  /// Reads the whole file once. Throws DamagedFile when it is cut short, is no token file, or has
  /// an id that is not below `vocabulary_size`; Error when there is none.
  TokenFile(const std::filesystem::path& path, int64_t vocabulary_size);

  int64_t size() const { return size_; }
  /// SHA-256 of the file, as it was when it was opened.
  const std::string& sha256() const { return sha256_; }
  /// The id at `i`. Throws as read does.
  int32_t operator[](int64_t i) const;
  /// Copies the ids of [begin, begin + n) to `out`. Throws Error when the file never had them all,
  /// DataLost when it was cut or written to since it was opened.
  void read(int64_t begin, int64_t n, int32_t* out) const;

 private:
  [[noreturn]] void lost(const std::string& what) const;

  InputFile file_;
  int64_t vocabulary_size_;
  int bytes_per_id_ = 1;
  int64_t size_ = 0;
  std::string sha256_;
};

/// Receives the next ids of a token file that is being written.
using IdSink = std::function<void(std::span<const int32_t>)>;

/// Whether the file at `path` begins as token files do.
bool is_token_file(const std::filesystem::path& path);

/// Writes a token file by atomic_write, of the `size` ids that `write` puts into its sink; they
/// must be in [0, vocabulary_size). Returns the file's SHA-256. Throws Error as atomic_write does,
/// and when there are more or fewer ids.
std::string write_token_file(const std::filesystem::path& path, int64_t size,
                             int64_t vocabulary_size,
                             const std::function<void(const IdSink&)>& write);
std::string write_token_file(const std::filesystem::path& path, std::span<const int32_t> ids,
                             int64_t vocabulary_size);

}  // namespace adaspan
