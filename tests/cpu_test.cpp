// SPDX-License-Identifier: MIT
#include "adaspan/core/cpu.h"

#include <doctest/doctest.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>

#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

/// Whether this thread computes with denormals, as operands or as results. The values are volatile
/// since the compiler would otherwise compute them, without flushing; the result is looked at as
/// bits, since a comparison takes it for an operand.
bool has_denormals() {
  volatile float smallest = std::numeric_limits<float>::denorm_min();
  volatile float normal = std::numeric_limits<float>::min();
  const float from_operand = smallest * 1e30f;
  const float as_result = normal * 0.5f;
  return std::bit_cast<uint32_t>(from_operand) != 0 || std::bit_cast<uint32_t>(as_result) != 0;
}

/// How many of `count` threads that run at the same time compute with denormals.
int threads_with_denormals(int count) {
  set_threads(count);
  std::atomic<int> running = 0;
  std::atomic<int> found = 0;
  parallel_for(count, [&](int64_t) {
    ++running;  // no thread takes two bodies, since each waits for all others to start
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (running < count && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    if (has_denormals()) ++found;
  });
  return found;
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
TEST_CASE("a guard puts back what it found, half of it, too") {
  for (unsigned half : {0x8000u, 0x40u}) {
    const FlushDenormals of_the_program_around(half);
    REQUIRE(denormal_state() == half);
    {
      const FlushDenormals flush;
      CHECK(denormal_state() == 0x8040);
    }
    CHECK(denormal_state() == half);
    set_threads(2);
    parallel_for(8, [&](int64_t) { CHECK(denormal_state() == half); });
  }
  CHECK(denormal_state() == 0);
}

TEST_CASE("with the guard denormals are zero, in every worker, and then all is as before") {
  for (int round = 0; round < 2; ++round) {  // the threads of the second have been used before
    for (int count : {1, 2, 4}) {
      CAPTURE(count);
      CHECK(threads_with_denormals(count) == count);
      {
        const FlushDenormals flush;
        CHECK(denormal_state() != 0);
        CHECK(threads_with_denormals(count) == 0);
        {
          const FlushDenormals keep(0);
          CHECK(threads_with_denormals(count) == count);
        }
        CHECK(threads_with_denormals(count) == 0);
      }
      CHECK(denormal_state() == 0);
      CHECK(threads_with_denormals(count) == count);
    }
  }
}

TEST_CASE("the guard is of its thread alone, and a second one can have its own") {
  const FlushDenormals flush;
  int without = -1, with = -1;
  std::thread([&] {
    const FlushDenormals keep(0);  // threads begin as the one that made them
    without = threads_with_denormals(2);
    const FlushDenormals again;
    with = threads_with_denormals(2);
  }).join();
  CHECK(without == 2);
  CHECK(with == 0);
  CHECK(threads_with_denormals(2) == 0);
}
#endif

}  // namespace adaspan
