// SPDX-License-Identifier: MIT
// Products of bf16 with AVX512-BF16: two products of each of 16 columns in one instruction.
#include <immintrin.h>

#include "ops/kernels/band_products.h"

namespace adaspan::avx512_bf16 {
namespace {

struct DotUnit {
  static constexpr int64_t kRows = 4, kColumns = 64, kGroups = 1;

  static void start() {}

  template <int V>
  static void vectors(float* c, int64_t c_stride, LeftOperand<bf16> a, const bf16* b,
                      int64_t b_stride, int64_t groups, bool add) {
    __m512 sum[kRows][V];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sum[i][v] = add ? _mm512_loadu_ps(c + i * c_stride + v * 16) : _mm512_setzero_ps();
      }
    }
    for (int64_t g = 0; g < groups; ++g) {
      __m512bh right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        right[v] = (__m512bh)_mm512_loadu_si512(b + (g * b_stride + v * 16) * 2);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        int32_t pair;  // may lie at any even address
        __builtin_memcpy(&pair, a.data + i * a.row + g * a.step, sizeof pair);
        const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], left, right[v]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + i * c_stride + v * 16, sum[i][v]);
    }
  }

  static void block(float* c, int64_t c_stride, LeftOperand<bf16> a, const bf16* b,
                    int64_t b_stride, int64_t columns, int64_t groups, bool add) {
    switch ((columns + 15) / 16) {
      case 1:
        return vectors<1>(c, c_stride, a, b, b_stride, groups, add);
      case 2:
        return vectors<2>(c, c_stride, a, b, b_stride, groups, add);
      case 3:
        return vectors<3>(c, c_stride, a, b, b_stride, groups, add);
      default:
        return vectors<4>(c, c_stride, a, b, b_stride, groups, add);
    }
  }
};

}  // namespace

const SpanKernels<bf16>& span_kernels_bf16() {
  static constexpr auto kernels = BandProducts<DotUnit, bf16>::table("avx512_bf16");
  return kernels;
}

}  // namespace adaspan::avx512_bf16
