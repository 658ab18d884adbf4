// SPDX-License-Identifier: MIT
#include "adaspan/core/sha256.h"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <array>

namespace adaspan {

std::string sha256(std::span<const std::byte> bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  std::string digits;
  for (unsigned char byte : digest) digits += fmt::format("{:02x}", byte);
  return digits;
}

}  // namespace adaspan
