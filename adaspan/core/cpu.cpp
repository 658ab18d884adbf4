// SPDX-License-Identifier: MIT
#include "adaspan/core/cpu.h"

#include <fmt/format.h>

#include <atomic>
#include <fstream>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>
#endif

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

std::string model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

#if defined(__x86_64__)
/// Asks the kernel for the state of AMX tiles, which CPUID alone does not grant.
bool tiles_granted() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}
#endif

constexpr Isa kLevels[] = {Isa::plain, Isa::avx2, Isa::avx512, Isa::amx};

std::atomic<Isa>& chosen_isa() {
  static std::atomic<Isa> chosen = best_isa();
  return chosen;
}

CpuFeatures found_features() {
  CpuFeatures f;
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  // By CPUID what not every compiler knows by name.
  const bool movbe_f16c = __get_cpuid(1, &a, &b, &c, &d) && (c >> 22 & 1) && (c >> 29 & 1);
  const bool lzcnt = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 5 & 1);
  f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && movbe_f16c && lzcnt;
  f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
  f.avx512_bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    f.amx_bf16 = (d >> 22 & 1) && (d >> 24 & 1) && f.avx512_bf16 && tiles_granted();
  }
#endif
  return f;
}

}  // namespace

CpuFeatures cpu_features() {
  static const CpuFeatures features = found_features();  // asking takes long in a virtual machine
  return features;
}

const char* name(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::amx:
      return "amx";
    case Isa::plain:
      break;
  }
  return "plain";
}

Isa isa_of(const std::string& text) {
  for (Isa level : kLevels) {
    if (text == name(level)) return level;
  }
  fail("[isa] expected plain, avx2, avx512 or amx; got \"{}\"", text);
}

Isa best_isa() {
  const CpuFeatures f = cpu_features();
  return f.amx_bf16 ? Isa::amx : f.avx512 ? Isa::avx512 : f.avx2 ? Isa::avx2 : Isa::plain;
}

void set_isa(Isa isa) {
  require(isa <= best_isa(),
          "[isa] expected process.isa of a level that this processor has, at most {}; got {}; use "
          "that one or "
          "the best there is",
          name(best_isa()), name(isa));
  chosen_isa() = isa;
}

Isa isa() {
  return chosen_isa();
}

std::string bf16_obstacle() {
  if (isa() < Isa::avx512)
    return fmt::format("the kernels of level {} compute in f32", name(isa()));
  if (!cpu_features().avx512_bf16) return "this processor has neither AVX512-BF16 nor AMX";
  return {};
}

std::string cpu_report() {
  const CpuFeatures f = cpu_features();
  return fmt::format("{}, {} cores,{}{}{}{}", model_name(), std::thread::hardware_concurrency(),
                     f.avx2 ? " avx2" : "", f.avx512 ? " avx512" : "",
                     f.avx512_bf16 ? " avx512_bf16" : "", f.amx_bf16 ? " amx_bf16" : "");
}

namespace {

constexpr unsigned kFlush = 0x8040;  // results are flushed to zero, operands taken for zero

void set_denormal_state([[maybe_unused]] unsigned state) {
#if defined(__x86_64__)
  const unsigned now = _mm_getcsr(), wanted = (now & ~kFlush) | state;
  if (wanted != now) _mm_setcsr(wanted);
#endif
}

}  // namespace

unsigned denormal_state() {
#if defined(__x86_64__)
  return _mm_getcsr() & kFlush;
#else
  return 0;
#endif
}

FlushDenormals::FlushDenormals() : FlushDenormals(kFlush) {}
FlushDenormals::FlushDenormals(unsigned state) : before_(denormal_state()) {
  set_denormal_state(state);
}
FlushDenormals::~FlushDenormals() {
  set_denormal_state(before_);
}

}  // namespace adaspan
