// SPDX-License-Identifier: MIT
// What this processor can do, and how its floating-point unit is set up.
#pragma once

#include <string>

namespace adaspan {

struct CpuFeatures {
  bool avx2 = false;         ///< all of x86-64-v3: AVX2, FMA, BMI 1 and 2, F16C, LZCNT, MOVBE
  bool avx512 = false;       ///< all of x86-64-v4: also AVX-512 F, BW, CD, DQ, VL
  bool avx512_bf16 = false;  ///< bf16 dot products
  bool amx_bf16 = false;     ///< bf16 tiles
};

CpuFeatures cpu_features();

/// Which kernels run, from the plainest to the fastest. Each level includes the ones before it.
enum class Isa { plain, avx2, avx512, amx };

/// "plain", "avx2", "avx512", "amx"
const char* name(Isa isa);
/// The level of that name. Throws Error, with the names there are, for another.
Isa isa_of(const std::string& name);

/// The best level that this processor can run.
Isa best_isa();
/// Makes all kernels of this project run at `isa`, for the whole process. A part of open_process
/// (ops/process.h), which programs call. Throws Error when the processor cannot. Results are the
/// same bits for every number of threads at one level, not across levels.
void set_isa(Isa isa);
/// The level in use; the best one unless set.
Isa isa();

/// Why bf16 products cannot run at the level in use; empty when they can.
std::string bf16_obstacle();

/// One line for logs: "AMD EPYC, 2 cores, avx2 avx512 avx512_bf16".
std::string cpu_report();

/// While it lives, the calling thread treats denormal numbers as zero; then it is as before. They
/// are 100 times slower and far below any rounding that matters here, but what a program that
/// embeds this library does with them is its own business: hence a guard within each training step,
/// evaluation and generation, and not a setting of the process. Loops of core/parallel.h give their
/// threads what the caller has.
class FlushDenormals {
 public:
  FlushDenormals();
  /// As a thread does that denormal_state() was asked on.
  explicit FlushDenormals(unsigned state);
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
};

/// How the calling thread treats denormal numbers, as operands and as results.
unsigned denormal_state();

}  // namespace adaspan
