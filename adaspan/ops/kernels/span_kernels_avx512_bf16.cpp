// SPDX-License-Identifier: MIT
// Products of bf16 with AVX512-BF16: two products of each of 16 columns in one instruction.
#include <immintrin.h>

#include "adaspan/ops/kernels/vector_unit.h"

namespace adaspan::avx512_bf16 {
namespace {

inline int32_t pair_at(const bf16* x) {
  int32_t pair;  // may lie at any even address
  __builtin_memcpy(&pair, x, sizeof pair);
  return pair;
}

struct HalfDotLanes {
  using Sum = __m256;
  using Left = __m256bh;
  using Right = __m256bh;

  static Sum zero() { return _mm256_setzero_ps(); }
  static Sum load(const float* x) { return _mm256_loadu_ps(x); }
  static void store(float* y, Sum x) { _mm256_storeu_ps(y, x); }
  static Left left(const bf16* x) {
    __m256i pairs = _mm256_set1_epi32(pair_at(x));
#if defined(__clang__) && __clang_major__ == 16
    asm("" : "+v"(pairs));  // as below
#endif
    return (__m256bh)pairs;
  }
  static Right right(const bf16* x) {
    return (__m256bh)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  }
  static Sum multiply_add(Sum sum, Left left, Right right) {
    return _mm256_dpbf16_ps(sum, left, right);
  }
};

struct DotLanes {
  static constexpr int64_t kWidth = 16;
  using Sum = __m512;
  using Left = __m512bh;
  using Right = __m512bh;
  using Half = HalfDotLanes;

  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum load(const float* x) { return _mm512_loadu_ps(x); }
  static void store(float* y, Sum x) { _mm512_storeu_ps(y, x); }
  static Left left(const bf16* x) {
    __m512i pairs = _mm512_set1_epi32(pair_at(x));
#if defined(__clang__) && __clang_major__ == 16
    asm("" : "+v"(pairs));  // it crashes where it sees that a vector of bf16 repeats one pair
#endif
    return (__m512bh)pairs;
  }
  static Right right(const bf16* x) {
    return (__m512bh)_mm512_loadu_si512(x);
  }
  static Sum multiply_add(Sum sum, Left left, Right right) {
    return _mm512_dpbf16_ps(sum, left, right);
  }
};

}  // namespace

const SpanKernels<bf16>& span_kernels_bf16() {
  return span_kernels_of<VectorUnit<DotLanes, bf16, 4>, bf16>();
}

}  // namespace adaspan::avx512_bf16
