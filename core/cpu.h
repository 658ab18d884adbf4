// SPDX-License-Identifier: MIT
// What this processor can do, and how its floating-point unit is set up.
#pragma once

#include <string>

namespace adaspan {

struct CpuFeatures {
  bool avx2 = false;         ///< AVX2 and FMA
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL
  bool avx512_bf16 = false;  ///< bf16 dot products
  bool amx_bf16 = false;     ///< bf16 tiles
};

CpuFeatures cpu_features();

/// One line for logs: "AMD EPYC, 2 cores, avx2 avx512 avx512_bf16".
std::string cpu_report();

/// Makes every thread treat denormal numbers as zero: they are 100 times slower and far below any
/// rounding that matters here. Called once at the start of a program.
void flush_denormals();

}  // namespace adaspan
