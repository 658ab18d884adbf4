// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4): tells whether a text is the one that was prepared.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace adaspan {

inline constexpr size_t kSha256Digits = 64;

/// 64 hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

}  // namespace adaspan
