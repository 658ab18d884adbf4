// SPDX-License-Identifier: MIT
// bfloat16: the upper half of a float32. Same range, 8 bits of precision: a rounded value is off by
// at most 2^-8 of itself.
#pragma once

#include <bit>
#include <cstdint>

namespace adaspan {

struct bf16 {
  uint16_t bits;
};

inline float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}
inline float to_float(float x) {
  return x;
}

/// To the nearest value, ties to the even one; NaN stays NaN.
inline bf16 to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/// x as T, which is float or bf16.
template <class T>
T from_float(float x) {
  if constexpr (sizeof(T) == sizeof(bf16)) {
    return to_bf16(x);
  } else {
    return x;
  }
}

}  // namespace adaspan
