// SPDX-License-Identifier: MIT
// The random numbers of adaspan/core/random.h, many at a time, for files that are compiled once for
// each instruction set (see level_vectors.h).
#pragma once

#include <adaspan/core/random.h>
#include <adaspan/ops/kernels/level_vectors.h>

namespace adaspan {
namespace {

// The generator of random numbers works on 64-bit products of 32-bit numbers: in 64-bit lanes whose
// upper halves do not matter, one instruction.
constexpr int64_t kWide = kVector / 2;
typedef uint64_t Wide __attribute__((vector_size(8 * kWide)));
typedef uint64_t Pair __attribute__((may_alias));  // of 32-bit numbers

/// a b of the lower halves of each lane
inline Wide product(Wide a, Wide b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Wide>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Wide>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<Wide>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

inline Wide wide(uint64_t x) {
  return Wide{} + x;
}

constexpr int64_t kRandomBlock = 64;

/// A stream's key in each of the generator's rounds, made once for many blocks.
struct RoundKeys {
  explicit RoundKeys(const RandomKey& key)
      : step(key.step), place(static_cast<uint32_t>(key.purpose) << 24 | key.site) {
    uint64_t key0 = key.seed, key1 = key.seed >> 32;
    for (int round = 0; round < 10; ++round) {
      keys0[round] = key0;
      keys1[round] = key1;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
  }
  uint64_t step, place, keys0[10], keys1[10];
};

/// The bits of numbers 4 group .. 4 group + 63 of a stream, as random_group() in
/// adaspan/core/random.h; to where 64-bit numbers may lie.
inline void random_block(float* bits, const RoundKeys& key, uint64_t group) {
  const Wide factor0 = wide(0xD2511F53), factor1 = wide(0xCD9E8D57), low = wide(0xffffffff);
  constexpr int kSide = 2;  // side by side: each round waits for the one before
  for (int64_t part = 0; part < kRandomBlock / 4; part += kSide * kWide) {
    Wide c0[kSide], c1[kSide], c2[kSide], c3[kSide];
#pragma GCC unroll 2
    for (int s = 0; s < kSide; ++s) {
      c0[s] = wide(group + part + s * kWide);
      for (int64_t i = 0; i < kWide; ++i) c0[s][i] += i;
      c1[s] = c0[s] >> 32;
      c2[s] = wide(key.step);
      c3[s] = wide(key.place);
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 2
      for (int s = 0; s < kSide; ++s) {
        const Wide product0 = product(c0[s], factor0), product1 = product(c2[s], factor1);
        c0[s] = product1 >> 32 ^ c1[s] ^ wide(key.keys0[round]);
        c1[s] = product1;
        c2[s] = product0 >> 32 ^ c3[s] ^ wide(key.keys1[round]);
        c3[s] = product0;
      }
    }
#pragma GCC unroll 2
    for (int s = 0; s < kSide; ++s) {
      const Wide first = (c0[s] & low) | c1[s] << 32, second = (c2[s] & low) | c3[s] << 32;
      Pair* const to = reinterpret_cast<Pair*>(bits) + 2 * (part + s * kWide);
      for (int64_t i = 0; i < kWide; ++i) to[2 * i] = first[i], to[2 * i + 1] = second[i];
    }
  }
}

}  // namespace
}  // namespace adaspan
