// SPDX-License-Identifier: MIT
// For tests only: AMX tiles as arrays (Intel's instruction set reference: TILELOADD, TDPBF16PS,
// TILESTORED).
#pragma once

#include <cstdint>
#include <cstring>

namespace adaspan {
namespace {

thread_local uint32_t emulated_tile[8][16][16];

void start_tiles() {}

template <int t>
void zero_tile() {
  std::memset(emulated_tile[t], 0, sizeof emulated_tile[t]);
}

template <int t>
void load_tile(const void* data, int64_t stride) {
  for (int64_t r = 0; r < 16; ++r) {
    std::memcpy(emulated_tile[t][r], static_cast<const char*>(data) + r * stride, 64);
  }
}

template <int t>
void store_tile(void* data, int64_t stride) {
  for (int64_t r = 0; r < 16; ++r) {
    std::memcpy(static_cast<char*>(data) + r * stride, emulated_tile[t][r], 64);
  }
}

/// sum[m][n] += sum over pairs g of left[m][g] . right[g][n]
template <int sum, int left, int right>
void multiply_tiles() {
  const auto number = [](uint32_t bits) { return __builtin_bit_cast(float, bits); };
  for (int m = 0; m < 16; ++m) {
    for (int g = 0; g < 16; ++g) {
      const uint32_t a = emulated_tile[left][m][g];
      for (int n = 0; n < 16; ++n) {
        const uint32_t b = emulated_tile[right][g][n];
        uint32_t& c = emulated_tile[sum][m][n];
        const float more =
            number(a << 16) * number(b << 16) + number(a & 0xffff0000) * number(b & 0xffff0000);
        c = __builtin_bit_cast(uint32_t, number(c) + more);
      }
    }
  }
}

}  // namespace
}  // namespace adaspan
