// SPDX-License-Identifier: MIT
#include "core/cpu.h"

#include <doctest/doctest.h>

#include <atomic>
#include <limits>

#include "core/parallel.h"

namespace adaspan {
namespace {

/// Whether this thread computes with denormals, as operands and as results. The values are volatile
/// since the compiler would otherwise compute them, without flushing.
bool has_denormals() {
  volatile float smallest = std::numeric_limits<float>::denorm_min();
  volatile float normal = std::numeric_limits<float>::min();
  volatile float from_operand = smallest * 1e30f;
  volatile float as_result = normal * 0.5f;
  return from_operand != 0 || as_result != 0;
}

}  // namespace

TEST_CASE("the report names the processor and exactly the features that were found") {
  const std::string report = cpu_report() + " ";
  const CpuFeatures features = cpu_features();
  CHECK(report.find(" cores,") != std::string::npos);
  CHECK((report.find(" avx2 ") != std::string::npos) == features.avx2);
  CHECK((report.find(" avx512 ") != std::string::npos) == features.avx512);
  CHECK((report.find(" avx512_bf16 ") != std::string::npos) == features.avx512_bf16);
  CHECK((report.find(" amx_bf16 ") != std::string::npos) == features.amx_bf16);
}

TEST_CASE("no feature comes without the ones it builds on") {
  const CpuFeatures features = cpu_features();
  CHECK((!features.avx512 || features.avx2));
  CHECK((!features.avx512_bf16 || features.avx512));
}

#if defined(__x86_64__)
// The only test of this program with a parallel loop: no thread may exist before the flush.
TEST_CASE("denormals are zero after the flush, also inside parallel loops") {
  CHECK(has_denormals());
  flush_denormals();
  CHECK_FALSE(has_denormals());
  for (int count : {2, 4}) {
    set_threads(count);
    std::atomic<int> found = 0;
    parallel_for(1000, [&](int64_t) { found += has_denormals() ? 1 : 0; });
    CHECK(found == 0);
  }
}
#endif

}  // namespace adaspan
