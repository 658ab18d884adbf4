// SPDX-License-Identifier: MIT
// AMX tiles of 16 rows of 64 bytes, all alike.
#pragma once

#include <cstdint>

namespace adaspan {
namespace {

/// Sets up the tiles of this thread, which oneDNN may have released.
inline void start_tiles() {
  struct alignas(64) Configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  static constexpr Configuration wanted = {
      .palette = 1,
      .start_row = 0,
      .reserved = {},
      .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
      .rows = {16, 16, 16, 16, 16, 16, 16, 16},
  };
  // Not _tile_loadconfig: GCC 12 believes that it reads 8 bytes and drops stores to the others.
  asm volatile("ldtilecfg %0" ::"m"(wanted));
}

// Assembler, since GCC's intrinsics take a tile's number as text only.
template <int t>
void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(t));
}
template <int t>
void load_tile(const void* data, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(data), "r"(stride), "i"(t) : "memory");
}
template <int t>
void store_tile(void* data, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(data), "r"(stride), "i"(t) : "memory");
}
/// sum[m][n] += sum over pairs g of left[m][g] . right[g][n]
template <int sum, int left, int right>
void multiply_tiles() {
  asm volatile("tdpbf16ps %%tmm%c0, %%tmm%c1, %%tmm%c2" ::"i"(right), "i"(left), "i"(sum));
}

}  // namespace
}  // namespace adaspan
