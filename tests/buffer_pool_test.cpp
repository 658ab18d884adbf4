// SPDX-License-Identifier: MIT
#include "adaspan/core/buffer_pool.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t address_space_bytes() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

bool is_filled_with(const Buffer& buffer, size_t bytes, int value) {
  return std::all_of(buffer.get(), buffer.get() + bytes,
                     [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

/// Takes and returns buffers of changing sizes; the number of those that somebody else wrote to.
int buffers_damaged(int own_value) {
  int damaged = 0;
  std::vector<std::pair<Buffer, size_t>> held;
  for (size_t i = 0; i < 4000; ++i) {
    const size_t bytes = 64 + i * 7919 % 4096;
    held.emplace_back(allocate(bytes), bytes);
    std::memset(held.back().first.get(), own_value, bytes);
    if (held.size() < 8) continue;
    const auto& [buffer, size] = held[i % 8];
    if (!is_filled_with(buffer, size, own_value)) ++damaged;
    held.erase(held.begin() + static_cast<int64_t>(i % 8));
  }
  return damaged;
}

}  // namespace

TEST_CASE("memory is aligned to 64 bytes, whatever the size") {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{65}, size_t{1000}, kMiB + 1,
                       2 * kMiB, 5 * kMiB + 3}) {
    const Buffer buffer = allocate(bytes);
    CAPTURE(bytes);
    REQUIRE(buffer != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(buffer.get()) % 64 == 0);
    std::memset(buffer.get(), 1, bytes);
  }
}

TEST_CASE("buffers that live together do not overlap") {
  std::vector<std::pair<Buffer, size_t>> buffers;
  for (size_t bytes = 1; bytes < 3 * kMiB; bytes = bytes * 3 / 2 + 1) {
    for (int copy = 0; copy < 2; ++copy) {
      buffers.emplace_back(allocate(bytes), bytes);
      std::memset(buffers.back().first.get(), static_cast<int>(buffers.size()), bytes);
    }
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    CHECK(is_filled_with(buffers[i].first, buffers[i].second, static_cast<int>(i + 1)));
  }
}

TEST_CASE("a freed block is handed out again") {
  for (size_t bytes : {size_t{100}, 3 * kMiB}) {
    const std::byte* first = allocate(bytes).get();
    const size_t reserved = pool_use().reserved;
    const Buffer second = allocate(bytes);
    CHECK(second.get() == first);
    CHECK(pool_use().reserved == reserved);
  }
}

TEST_CASE("sizes that differ little share freed blocks, and waste at most two fifths") {
  const std::byte* first = allocate(8 * kMiB - 1).get();
  CHECK(allocate(8 * kMiB - 100).get() == first);
  for (size_t bytes = 512; bytes < 64 * kMiB; bytes = bytes * 5 / 4 + 1) {
    const size_t before = pool_use().in_use;
    const Buffer buffer = allocate(bytes);
    const size_t taken = pool_use().in_use - before;
    CHECK(taken >= bytes);
    CHECK(taken <= bytes * 45 / 32);  // 9/8 by its class, 5/4 by the block at hand
  }
}

TEST_CASE("bytes in use rise and fall with the buffers, the peak stays") {
  const PoolUse before = pool_use();
  {
    const Buffer one = allocate(before.peak + 4 * kMiB);
    const Buffer two = allocate(4 * kMiB);
    CHECK(pool_use().in_use >= before.in_use + before.peak + 8 * kMiB);
    CHECK(pool_use().peak == pool_use().in_use);
  }
  CHECK(pool_use().in_use == before.in_use);
  CHECK(pool_use().peak >= before.peak + 8 * kMiB);
}

TEST_CASE("kept memory can be given back to the system") {
  const Buffer used = allocate(kMiB);
  { const Buffer kept = allocate(16 * kMiB); }
  CHECK(pool_use().reserved >= pool_use().in_use + 16 * kMiB);
  release_kept_buffers();
  CHECK(pool_use().reserved == pool_use().in_use);
}

TEST_CASE("blocks of sizes that nobody asks for any more do not pile up") {
  release_kept_buffers();
  for (size_t i = 0; i < 200; ++i) allocate((i + 1) * kMiB);  // 20 GiB if all were kept
  CHECK(pool_use().reserved <= pool_use().peak + pool_use().peak / 4 + 64 * kMiB);
}

TEST_CASE("more memory than the system has throws") {
  const PoolUse before = pool_use();
  CHECK_THROWS_WITH_AS(allocate(size_t{1} << 60), doctest::Contains("[memory] expected"), Error);
  CHECK_THROWS_WITH_AS(allocate(SIZE_MAX), doctest::Contains("[memory] expected at most"), Error);
  CHECK(pool_use().in_use == before.in_use);
  CHECK(pool_use().peak == before.peak);
}

TEST_CASE("kept memory is given back before an allocation fails") {
  release_kept_buffers();
  { const Buffer kept = allocate(1024 * kMiB); }
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  const rlimit small{address_space_bytes() + 64 * kMiB, limit.rlim_max};
  setrlimit(RLIMIT_AS, &small);
  Buffer buffer;
  CHECK_NOTHROW(buffer = allocate(320 * kMiB));
  setrlimit(RLIMIT_AS, &limit);
}

TEST_CASE("threads that take and return memory at the same time do not disturb one another") {
  const size_t before = pool_use().in_use;
  std::atomic<int> damaged = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&damaged, i] { damaged += buffers_damaged(i + 1); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(damaged == 0);
  CHECK(pool_use().in_use == before);
}

TEST_CASE("the resident peak covers memory that was written to") {
  const Buffer buffer = allocate(64 * kMiB);
  std::memset(buffer.get(), 1, 64 * kMiB);
  CHECK(peak_resident_bytes() >= 64 * kMiB);
  CHECK(peak_resident_bytes() < 64 * 1024 * kMiB);  // bytes, not kilobytes of bytes
}

}  // namespace adaspan
