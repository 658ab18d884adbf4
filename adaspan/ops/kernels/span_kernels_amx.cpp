// SPDX-License-Identifier: MIT
// Products of bf16 with AMX: tiles of 16 rows of 64 bytes. A test compiles it a second time, with
// ADASPAN_EMULATED_TILES and in another namespace, where tiles are plain arrays: so the blocking
// and all that rests on it is tested on any machine.
#include "adaspan/ops/kernels/band_products.h"
#if defined(ADASPAN_EMULATED_TILES)
#include "adaspan/ops/kernels/emulated_tiles.h"
namespace adaspan::emulated_amx {
#else
#include "adaspan/ops/kernels/amx_tiles.h"
namespace adaspan::amx {
#endif
namespace {

struct TileUnit {
  static constexpr int64_t kRows = 16, kWidth = 16, kGroups = 16;
  static constexpr int kVectors = 4;
  static constexpr bool kHalves = false;

  static void start() { start_tiles(); }

  /// Tiles 0 to 3: sums of 16 columns each. Tile 4: left. Tile 5: right.
  template <int V>
  static void block(float* c, int64_t c_stride, LeftOperand<bf16> a, const bf16* b,
                    int64_t b_stride, int64_t groups, bool add) {
    const int64_t c_bytes = c_stride * 4, b_bytes = b_stride * 4;
    if (add) {
      load_tile<0>(c, c_bytes);
      if constexpr (V > 1) load_tile<1>(c + 16, c_bytes);
      if constexpr (V > 2) load_tile<2>(c + 32, c_bytes);
      if constexpr (V > 3) load_tile<3>(c + 48, c_bytes);
    } else {
      zero_tile<0>();
      if constexpr (V > 1) zero_tile<1>();
      if constexpr (V > 2) zero_tile<2>();
      if constexpr (V > 3) zero_tile<3>();
    }
    alignas(64) uint32_t turned[16 * 16];
    for (int64_t g = 0; g < groups; g += 16) {
      const bf16* left = a.data + g * a.step;
      if (a.step == kGroup<bf16>) {
        load_tile<4>(left, a.row * 2);
      } else {
        turn(turned, left, a);
        load_tile<4>(turned, 64);
      }
      const bf16* right = b + g * b_stride * 2;
      multiply<0>(right, b_bytes);
      if constexpr (V > 1) multiply<1>(right + 32, b_bytes);
      if constexpr (V > 2) multiply<2>(right + 64, b_bytes);
      if constexpr (V > 3) multiply<3>(right + 96, b_bytes);
    }
    store_tile<0>(c, c_bytes);
    if constexpr (V > 1) store_tile<1>(c + 16, c_bytes);
    if constexpr (V > 2) store_tile<2>(c + 32, c_bytes);
    if constexpr (V > 3) store_tile<3>(c + 48, c_bytes);
  }

  template <int sum>
  static void multiply(const bf16* right, int64_t bytes) {
    load_tile<5>(right, bytes);
    multiply_tiles<sum, 4, 5>();
  }

  /// turned[i][g] = group g of row i, where groups lie far apart and rows side by side
  static void turn(uint32_t* turned, const bf16* left, LeftOperand<bf16> a) {
    for (int64_t g = 0; g < 16; ++g) {
      uint32_t words[16];
      for (int64_t i = 0; i < 16; ++i) {
        __builtin_memcpy(words + i, left + g * a.step + i * a.row, sizeof words[i]);
      }
      for (int64_t i = 0; i < 16; ++i) turned[i * 16 + g] = words[i];
    }
  }
};

}  // namespace

const SpanKernels<bf16>& span_kernels_bf16() {
  return span_kernels_of<TileUnit, bf16>();
}

}  // namespace adaspan::amx or emulated_amx
