// SPDX-License-Identifier: MIT
#include "core/cpu.h"

#include <fmt/format.h>

#include <fstream>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

namespace adaspan {
namespace {

std::string model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures f;
#if defined(__x86_64__)
  f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  f.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  f.avx512_bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) f.amx_bf16 = (d >> 22 & 1) && (d >> 24 & 1);
#endif
  return f;
}

std::string cpu_report() {
  const CpuFeatures f = cpu_features();
  return fmt::format("{}, {} cores,{}{}{}{}", model_name(), std::thread::hardware_concurrency(),
                     f.avx2 ? " avx2" : "", f.avx512 ? " avx512" : "",
                     f.avx512_bf16 ? " avx512_bf16" : "", f.amx_bf16 ? " amx_bf16" : "");
}

void flush_denormals() {
#if defined(__x86_64__)
  // Threads inherit the setting from the one that creates them, so this precedes all others.
  _mm_setcsr(_mm_getcsr() | 0x8040);  // flush to zero, denormals are zero
#endif
}

}  // namespace adaspan
