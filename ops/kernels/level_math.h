// SPDX-License-Identifier: MIT
// Small functions for files that are compiled once for each instruction set. They are static: each
// such file has its own, and the linker cannot give one file the code of another.
#pragma once

#include <cstdint>

namespace adaspan {

/// e^x to 2 units in the last place on [-87, 80], clamped outside: no branch, so that it
/// vectorises. e^x = 2^k e^r with k = round(x / ln 2), |r| <= ln(2)/2, and e^r by the polynomial of
/// degree 6 that starts 1 + r and has the smallest largest error there, 3e-9 of e^r.
static inline float exponential(float x) {
  constexpr float kLog2e = 1.44269504088896341f;
  x = x < -87.0f ? -87.0f : x;
  x = x > 80.0f ? 80.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const float shifted = x * kLog2e + kRound;
  const float k = shifted - kRound;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // ln 2 in two parts
  float p = 0.00138145399f;
  p = p * r + 0.00836874528f;
  p = p * r + 0.0416683908f;
  p = p * r + 0.166665204f;
  p = p * r + 0.499999934f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(k) + 127) << 23;
  return p * __builtin_bit_cast(float, bits);
}

/// The float of a bf16's bits.
static inline float widened(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

/// The bits of the nearest bf16, ties to the even one; NaN stays NaN.
static inline uint16_t rounded(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(x == x ? nearest : bits >> 16 | 0x40);
}

}  // namespace adaspan
