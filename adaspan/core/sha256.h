// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4): tells whether a text is the one that was prepared, a file the one that was
// written.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;  // libcrypto's state of a digest

namespace adaspan {

class InputFile;

inline constexpr size_t kSha256Digits = 64;

/// The digest of bytes that come one block after the other.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  /// 64 hexadecimal digits. Nothing may follow.
  std::string digits();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// 64 hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);
/// Of the whole file, read in blocks. Throws Error as InputFile::read does.
std::string sha256(const InputFile& file);

}  // namespace adaspan
