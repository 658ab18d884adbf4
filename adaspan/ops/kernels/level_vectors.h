// SPDX-License-Identifier: MIT
// Vectors of f32 numbers, for files that are compiled once for each instruction set: as wide as the
// set has them, over rows of f32 or bf16 in memory. All is in an anonymous namespace: each such
// file has its own copy, and the linker cannot give one file the code of another.
//
// Loops over these, and not over single numbers for the compiler's vectoriser, because that one
// shuffles the halves of bf16 about, and goes number by number through what is left of a row behind
// its last whole vector.
#pragma once

#include <cstdint>
#include <utility>

#include <adaspan/core/bf16.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace adaspan {
namespace {

#if defined(__AVX512F__)
constexpr int64_t kVector = 16;  // f32 numbers in a vector
#elif defined(__AVX2__)
constexpr int64_t kVector = 8;
#else
constexpr int64_t kVector = 4;
#endif
typedef float Vec __attribute__((vector_size(4 * kVector)));
typedef uint32_t Bits __attribute__((vector_size(4 * kVector)));
typedef int32_t Ints __attribute__((vector_size(4 * kVector)));
typedef uint16_t Halves __attribute__((vector_size(2 * kVector)));

inline Vec all(float x) {
  return Vec{} + x;
}

inline Bits longer(Halves x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Bits>(_mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Bits>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(x)));
#else
  return __builtin_convertvector(x, Bits);
#endif
}
/// The upper halves
inline Halves upper(Bits x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Halves>(
      _mm512_maskz_cvtepi32_epi16(0xffff, reinterpret_cast<__m512i>(x >> 16)));
#elif defined(__AVX2__)
  const auto words = reinterpret_cast<__m256i>(x >> 16);
  const __m256i packed = _mm256_packus_epi32(words, words);  // within each half by itself
  return reinterpret_cast<Halves>(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 8)));
#else
  return __builtin_convertvector(x >> 16, Halves);
#endif
}

inline Vec widened(Halves x) {
  return reinterpret_cast<Vec>(longer(x) << 16);
}
/// To the nearest bf16, ties to the even one, as to_bf16() in core/bf16.h; NaN stays NaN. It is in
/// the upper halves; the lower ones hold anything.
inline Bits rounded_above(Vec x) {
  const auto bits = reinterpret_cast<Bits>(x);
  const Bits nearest = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
  return x == x ? nearest : quiet;
}
inline Halves rounded(Vec x) {
  return upper(rounded_above(x));
}

inline Vec square_root(Vec x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(0xffff, x);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#elif defined(__SSE2__)
  return _mm_sqrt_ps(x);
#else
  for (int64_t i = 0; i < kVector; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

/// Reads and writes kVector numbers of a row.
struct Whole {
  Vec load(const float* x) const {
    Vec v;
    __builtin_memcpy(&v, x, sizeof v);
    return v;
  }
  Vec load(const bf16* x) const {
    Halves v;
    __builtin_memcpy(&v, x, sizeof v);
    return widened(v);
  }
  void store(float* y, Vec v) const { __builtin_memcpy(y, &v, sizeof v); }
  void store(bf16* y, Vec v) const {
    const Halves halves = rounded(v);
    __builtin_memcpy(y, &halves, sizeof halves);
  }
  Vec only(Vec v, float) const { return v; }
};

/// Reads and writes the first n < kVector numbers of a row; the others are 0 when read.
struct First {
  int64_t n;
#if defined(__AVX512F__)
  __mmask16 mask() const {
    return static_cast<__mmask16>((1u << n) - 1);
  }
  Vec load(const float* x) const {
    return _mm512_maskz_loadu_ps(mask(), x);
  }
  Vec load(const bf16* x) const {
    return widened(reinterpret_cast<Halves>(_mm256_maskz_loadu_epi16(mask(), x)));
  }
  void store(float* y, Vec v) const {
    _mm512_mask_storeu_ps(y, mask(), v);
  }
  void store(bf16* y, Vec v) const {
    _mm256_mask_storeu_epi16(y, mask(), reinterpret_cast<__m256i>(rounded(v)));
  }
#else
  template <class T>
  Vec load(const T* x) const {
    T part[kVector] = {};
    for (int64_t i = 0; i < n; ++i) part[i] = x[i];
    return Whole().load(part);
  }
  template <class T>
  void store(T* y, Vec v) const {
    T part[kVector];
    Whole().store(part, v);
    for (int64_t i = 0; i < n; ++i) y[i] = part[i];
  }
#endif
  /// v, with the others set to `other`
  Vec only(Vec v, float other) const {
    Ints place;
    for (int32_t i = 0; i < kVector; ++i) place[i] = i;
    return place < static_cast<int32_t>(n) ? v : all(other);
  }
};

constexpr int64_t kSums = 4;  // side by side, so that no addition waits for the last one

/// Calls body(i, k, at) for each vector i .. i+kVector-1 of a row of n, the last one perhaps not
/// whole: `at` reads and writes. k < kSums is the sum that the vector may be added to.
template <class Body>
inline void by_vectors(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kSums * kVector <= n; i += kSums * kVector) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < kSums; ++k) body(i + k * kVector, k, Whole());
  }
  for (; i + kVector <= n; i += kVector) body(i, 0, Whole());
  if (i < n) body(i, 0, First{n - i});
}

template <class Place, class V, int64_t... i>
inline V lanes_at(V a, V b, std::integer_sequence<int64_t, i...>) {
  return __builtin_shufflevector(a, b, Place()(i)...);
}
/// Lane i is lane place(i) of a and b, those of b behind those of a.
template <class V, class Place>
inline V shuffled(V a, V b, Place) {
  return lanes_at<Place>(a, b, std::make_integer_sequence<int64_t, kVector>());
}

/// v with its lanes exchanged over `distance`, a power of two
template <int64_t distance>
inline Vec exchanged(Vec v) {
  return shuffled(v, v, [](int64_t i) { return i ^ distance; });
}

/// f(f(v0, v1), f(v2, v3)) ... of all lanes
template <class F>
inline float folded(Vec v, const F& f) {
  if constexpr (kVector > 8) v = f(v, exchanged<8>(v));
  if constexpr (kVector > 4) v = f(v, exchanged<4>(v));
  v = f(v, exchanged<2>(v));
  return f(v, exchanged<1>(v))[0];
}

inline float total(const Vec (&sums)[kSums]) {
  return folded((sums[0] + sums[1]) + (sums[2] + sums[3]), [](Vec a, Vec b) { return a + b; });
}

/// The sum of f(i, at) over a row of n
template <class F>
inline float sum_of(int64_t n, const F& f) {
  Vec sums[kSums] = {};
  by_vectors(n, [&](int64_t i, int64_t k, auto at) { sums[k] += at.only(f(i, at), 0); });
  return total(sums);
}

inline Vec larger(Vec a, Vec b) {
  return a > b ? a : b;
}

/// v within [-most, most]; NaN stays NaN.
inline Vec bounded(Vec v, float most) {
  v = v > most ? all(most) : v;
  return v < -most ? all(-most) : v;
}

/// The largest f(i, at) over a row of n, NaN left out
template <class F>
inline float largest_of(int64_t n, float lowest, const F& f) {
  Vec tops[kSums] = {all(lowest), all(lowest), all(lowest), all(lowest)};
  by_vectors(n, [&](int64_t i, int64_t k, auto at) {
    tops[k] = larger(at.only(f(i, at), lowest), tops[k]);
  });
  return folded(larger(larger(tops[0], tops[1]), larger(tops[2], tops[3])), larger);
}

/// A mask below this is 0 (spans make none in (0, 2^-25)): so a row's 1 / sum(m e^(s - top)) is at
/// most 2^25, whatever its largest score has for a mask.
constexpr float kLeastMask = 0x1p-25f;
/// The most that e^s / sum(m e^s) is taken for. Where m > 0 it is never that large; where m is 0 it
/// has no bound, and the squares of gradients made of it must still be numbers.
constexpr float kMostShare = 0x1p26f;

/// e^x to 2 units in the last place on [-87, 80], clamped outside. e^x = 2^k e^r with
/// k = round(x / ln 2), |r| <= ln(2)/2, and e^r by the polynomial of degree 6 that starts 1 + r and
/// has the smallest largest error, 4e-9 of e^r.
inline Vec exponential(Vec x) {
  constexpr float kLog2e = 1.44269504088896341f;
  x = x < -87.0f ? all(-87.0f) : x;
  x = x > 80.0f ? all(80.0f) : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Vec shifted = x * kLog2e + kRound, k = shifted - kRound;
  const Vec r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // ln 2 in two parts
  Vec p = all(0.00138145399f);
  p = p * r + 0.00836874528f;
  p = p * r + 0.0416683908f;
  p = p * r + 0.166665204f;
  p = p * r + 0.499999934f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // k from the low bits of `shifted`: to convert it to an integer is undefined for NaN
  return p * reinterpret_cast<Vec>((reinterpret_cast<Bits>(shifted) + 127) << 23);
}

}  // namespace
}  // namespace adaspan
