// SPDX-License-Identifier: MIT
#include "adaspan/core/parallel.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using Bounds = std::multiset<std::pair<int64_t, int64_t>>;

Bounds bounds_of(int64_t n, int64_t chunk) {
  Bounds bounds;
  std::mutex mutex;
  parallel_chunks(n, chunk, [&](int64_t begin, int64_t end) {
    std::lock_guard lock(mutex);
    bounds.emplace(begin, end);
  });
  return bounds;
}

}  // namespace

TEST_CASE("chunks are cut at multiples of their size, for any number of threads") {
  for (int count : {1, 2, 3, 8}) {
    set_threads(count);
    CAPTURE(count);
    CHECK(bounds_of(10, 4) == Bounds{{0, 4}, {4, 8}, {8, 10}});
    CHECK(bounds_of(8, 4) == Bounds{{0, 4}, {4, 8}});
    CHECK(bounds_of(3, 4) == Bounds{{0, 3}});
    CHECK(bounds_of(0, 4) == Bounds{});
  }
}

TEST_CASE("every index is visited once") {
  for (int count : {1, 2, 5}) {
    set_threads(count);
    for (int64_t n : {0, 1, 2, 63, 64, 1000}) {
      CAPTURE(n);
      std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
      parallel_for(n, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
      for (const auto& visited : visits) CHECK(visited == 1);
    }
  }
}

TEST_CASE("a sum is cut by the amount of work alone, and its parts are added in order") {
  using Part = std::array<int64_t, 3>;  // number, begin, end
  for (int count : {1, 2, 3, 8}) {
    set_threads(count);
    CAPTURE(count);
    std::set<Part> computed;
    std::mutex mutex;
    parallel_parts(1000, 96, [&](int64_t part, int64_t begin, int64_t end) {
      std::lock_guard lock(mutex);
      computed.insert({part, begin, end});
    });
    std::set<Part> expected;
    for (int64_t part = 0; part < chunk_count(1000, 96); ++part) {
      expected.insert({part, part * 96, std::min<int64_t>(1000, (part + 1) * 96)});
    }
    CHECK(computed == expected);

    std::vector<std::vector<int64_t>> added(50);  // parts, in the order they came to each place
    add_in_order(11, 50, 8, [&](int64_t part, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) added[static_cast<size_t>(i)].push_back(part);
    });
    std::vector<int64_t> in_order(11);
    std::iota(in_order.begin(), in_order.end(), 0);
    for (const auto& parts : added) CHECK(parts == in_order);
  }
}

TEST_CASE("sums are the same bits for any number of threads, and whichever part is done first") {
  std::vector<double> values(100'003);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / static_cast<double>(i % 977 + 1);
  constexpr int64_t kChunk = 1024;
  const auto n = static_cast<int64_t>(values.size());
  double expected = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const auto end = std::min(n, begin + kChunk);
    expected += std::accumulate(values.begin() + begin, values.begin() + end, 0.0);
  }
  for (int count : {1, 2, 3, 7}) {
    set_threads(count);
    CHECK(sum_in_order(n, kChunk, [&](int64_t begin, int64_t end) {
            // The first parts take longest.
            if (begin < 4 * kChunk) std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return std::accumulate(values.begin() + begin, values.begin() + end, 0.0);
          }) == expected);
  }
  CHECK(sum_in_order(0, kChunk, [](int64_t, int64_t) { return 1.0; }) == 0);
}

TEST_CASE("two bodies run at the same time") {
  set_threads(2);
  std::atomic<int> running = 0;
  std::atomic<int> met = 0;
  parallel_for(2, [&](int64_t) {
    ++running;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (running < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    if (running == 2) ++met;
  });
  CHECK(met == 2);
}

TEST_CASE("a loop inside a loop visits every index once") {
  set_threads(3);
  std::vector<std::atomic<int>> visits(7 * 11);
  parallel_for(7, [&](int64_t i) {
    parallel_for(11, [&](int64_t j) { ++visits[static_cast<size_t>(i * 11 + j)]; });
  });
  for (const auto& visited : visits) CHECK(visited == 1);
}

TEST_CASE("an exception of a body comes out with its type and text, after all bodies have ended") {
  for (int count : {1, 4}) {
    set_threads(count);
    std::atomic<int> ended = 0;
    const auto loop = [&] {
      parallel_for(100, [&](int64_t i) {
        if (i == 37) throw std::domain_error("thirty-seven");
        ++ended;
      });
    };
    CHECK_THROWS_WITH_AS(loop(), "thirty-seven", std::domain_error);
    CHECK(ended == 99);
  }
}

TEST_CASE("when every body throws, one exception comes out") {
  set_threads(4);
  const auto loop = [] { parallel_for(50, [](int64_t i) { fail("body {}", i); }); };
  CHECK_THROWS_WITH_AS(loop(), doctest::Contains("body "), Error);
}

TEST_CASE("an exception comes out of a loop of a single chunk") {
  const auto loop = [] { parallel_chunks(5, 10, [](int64_t, int64_t) { fail("alone"); }); };
  CHECK_THROWS_WITH_AS(loop(), "alone", Error);
}

TEST_CASE("the number of threads is what was set") {
  set_threads(3);
  CHECK(threads() == 3);
  set_threads(1);
  CHECK(threads() == 1);
}

TEST_CASE("OpenMP's number comes first, then the smaller of processors and quota, at least one") {
  const auto choice = [](int processors, int openmp, std::optional<double> quota) {
    const ThreadChoice c = choose_threads(processors, openmp, quota);
    return std::pair(c.threads, c.why);
  };
  CHECK(choice(4, 4, {}) == std::pair(4, std::string("one for each processor")));
  CHECK(choice(4, 4, 4.0) == std::pair(4, std::string("one for each processor")));
  CHECK(choice(4, 4, 1.5) == std::pair(1, std::string("a quota of 1.5 processors")));
  CHECK(choice(4, 4, 3.0) == std::pair(3, std::string("a quota of 3 processors")));
  CHECK(choice(4, 4, 0.25) == std::pair(1, std::string("a quota of 0.25 processors")));
  CHECK(choice(4, 2, 1.5) == std::pair(2, std::string("OMP_NUM_THREADS")));
  CHECK(choice(4, 8, {}) == std::pair(8, std::string("OMP_NUM_THREADS")));
}

TEST_CASE("a loop has as many threads as were set, all at once") {
  for (int count : {2, 5, 3}) {
    set_threads(count);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    std::atomic<int> here = 0;
    on_all_threads([&] {
      ++here;
      while (here < count) std::this_thread::yield();  // for ever, if they came in turn
      std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
    CHECK(here == count);
    CHECK(seen.size() == static_cast<size_t>(count));
  }
}

TEST_CASE("a loop within a loop runs on the thread that begins it") {
  set_threads(3);
  std::atomic<int> elsewhere = 0;
  parallel_for(20, [&](int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(20, [&](int64_t) { elsewhere += std::this_thread::get_id() != self; });
  });
  CHECK(elsewhere == 0);
}

TEST_CASE("a loop that begins while another thread's is under way is done by its own thread") {
  set_threads(2);
  std::atomic<bool> begun = false, done = false;
  std::thread other([&] {
    on_all_threads([&] {
      begun = true;
      while (!done) std::this_thread::yield();
    });
  });
  while (!begun) std::this_thread::yield();
  std::atomic<int> visits = 0, elsewhere = 0;
  const auto self = std::this_thread::get_id();
  parallel_for(20, [&](int64_t) {
    ++visits;
    elsewhere += std::this_thread::get_id() != self;
  });
  done = true;
  other.join();
  CHECK(visits == 20);
  CHECK(elsewhere == 0);
}

#if !defined(__SANITIZE_THREAD__)  // which watches no threads of a child
TEST_CASE("a child of fork has threads of its own") {
  set_threads(3);
  parallel_for(6, [](int64_t) {});
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // a loop that waits for its parent's threads never ends
    std::atomic<int> here = 0;
    on_all_threads([&] {
      ++here;
      while (here < 3) std::this_thread::yield();
    });
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#endif

TEST_CASE("fewer than one thread throws") {
  CHECK_THROWS_WITH_AS(set_threads(0), "[threads] expected at least 1; got 0", Error);
  CHECK_THROWS_AS(set_threads(-2), Error);
}

TEST_CASE("one thread is all there is while ThreadLimit lives, for its own thread only") {
  set_threads(3);
  {
    const ThreadLimit alone(1);
    CHECK(threads() == 1);
  }
  CHECK(threads() == 3);
  std::atomic<int> wrong = 0;
  parallel_for(6, [&](int64_t) {
    const ThreadLimit alone(1);
    if (threads() != 1) ++wrong;
  });
  CHECK(wrong == 0);
  CHECK(threads() == 3);
}

}  // namespace adaspan
