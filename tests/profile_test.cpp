// SPDX-License-Identifier: MIT
#include "adaspan/core/profile.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

using std::chrono::milliseconds;

void work(int ms) {
  std::this_thread::sleep_for(milliseconds(ms));
}

const ProfileRow& row_of(const std::vector<ProfileRow>& rows, const std::string& kernel) {
  for (const ProfileRow& row : rows) {
    if (row.kernel == kernel) return row;
  }
  FAIL("no row of ", kernel);
  return rows.front();
}

}  // namespace

TEST_CASE("nothing is recorded unless it was asked for") {
  { const Timed timed("before", 1, 1); }
  CHECK(stop_profile().empty());
  start_profile();
  stop_profile();
  { const Timed timed("after", 1, 1); }
  CHECK(stop_profile().empty());
}

TEST_CASE("calls, seconds, operations and bytes of a kernel add up under its name") {
  start_profile();
  for (int i = 0; i < 3; ++i) {
    const Timed timed("short", 10, 100);
    work(1);
  }
  {
    const Timed timed("long", 7, 0.5);
    work(20);
  }
  const std::vector<ProfileRow> rows = stop_profile();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].kernel == "long");  // the longest first
  CHECK(rows[0].calls == 1);
  CHECK(rows[0].seconds >= 0.020);
  CHECK(rows[0].flops == 7);
  CHECK(rows[0].bytes == 0.5);
  CHECK(rows[1].kernel == "short");
  CHECK(rows[1].calls == 3);
  CHECK(rows[1].seconds >= 0.003);
  CHECK(rows[1].seconds < rows[0].seconds);
  CHECK(rows[1].flops == 30);
  CHECK(rows[1].bytes == 300);
}

TEST_CASE("the time of an inner kernel is not its callers'") {
  const auto begin = std::chrono::steady_clock::now();
  start_profile();
  {
    const Timed outer("outer", 0, 0);
    work(2);
    {
      const Timed middle("middle", 0, 0);
      work(30);
      const Timed inner("inner", 0, 0);
      work(60);
    }
    const Timed again("inner", 0, 0);
    work(10);
  }
  const std::vector<ProfileRow> rows = stop_profile();
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;
  const double outer = row_of(rows, "outer").seconds, middle = row_of(rows, "middle").seconds;
  const double inner = row_of(rows, "inner").seconds;
  CHECK(row_of(rows, "inner").calls == 2);
  CHECK(outer >= 0.002);
  CHECK(middle >= 0.030);
  CHECK(inner >= 0.070);
  CHECK(outer + middle + inner <= whole.count());
}

TEST_CASE("other threads than the one that started are not recorded") {
  start_profile();
  std::thread([] { const Timed timed("elsewhere", 1, 1); }).join();
  { const Timed timed("here", 1, 1); }
  const std::vector<ProfileRow> rows = stop_profile();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].kernel == "here");
}

TEST_CASE("waiting for other threads is a kernel's time, told apart") {
  set_threads(2);
  std::atomic<int> started = 0;
  const auto on_both = [&](bool caller_is_late) {
    const std::thread::id caller = std::this_thread::get_id();
    started = 0;
    parallel_for(2, [&](int64_t) {
      for (++started; started < 2;) std::this_thread::yield();
      if ((std::this_thread::get_id() == caller) == caller_is_late) work(30);
    });
  };
  on_both(true);
  start_profile();
  {
    const Timed timed("waits", 0, 0);
    on_both(false);
    const Timed inner("is late", 0, 0);
    on_both(true);
  }
  const std::vector<ProfileRow> rows = stop_profile();
  CHECK(row_of(rows, "waits").waiting >= 0.025);
  CHECK(row_of(rows, "waits").waiting <= row_of(rows, "waits").seconds);
  CHECK(row_of(rows, "is late").seconds >= 0.030);
  CHECK(row_of(rows, "is late").waiting < 0.025);
  CHECK(row_of(rows, "waits").loops == 1);
  CHECK(row_of(rows, "is late").loops == 1);
}

TEST_CASE("what any thread counts belongs to the kernel that runs, and not to its callers") {
  count(Counted::plan);  // nothing is recorded yet
  start_profile();
  {
    const Timed outer("outer", 0, 0);
    count(Counted::plan);
    const Buffer buffer = allocate(100);
    {
      const Timed inner("inner", 0, 0);
      std::thread([] { count(Counted::plan); }).join();
      count(Counted::plan);
    }
  }
  const std::vector<ProfileRow> rows = stop_profile();
  CHECK(row_of(rows, "outer").plans == 1);
  CHECK(row_of(rows, "outer").buffers == 1);
  CHECK(row_of(rows, "inner").plans == 2);
  CHECK(row_of(rows, "inner").buffers == 0);
}

TEST_CASE("a kernel tells into how many pieces its work is cut, its poorest call for all") {
  set_threads(2);
  const auto loop = [](int64_t pieces) { parallel_for(pieces, [](int64_t) {}); };
  start_profile();
  {
    const Timed timed("cut", 0, 0);
    loop(3);
    loop(7);
    parallel_for(4, [&](int64_t) { loop(20); });  // within a loop, nothing is shared
    const Timed inner("inner", 0, 0);
    loop(9);
  }
  {
    const Timed timed("cut", 0, 0);
    loop(5);
  }
  { const Timed timed("cut", 0, 0); }
  const std::vector<ProfileRow> rows = stop_profile();
  CHECK(row_of(rows, "cut").pieces == 5);
  CHECK(row_of(rows, "inner").pieces == 9);
}

TEST_CASE("a new start forgets what was recorded, and an exception ends what it passes") {
  start_profile();
  { const Timed timed("old", 1, 1); }
  start_profile();
  try {
    const Timed timed("thrown", 1, 1);
    throw 1;
  } catch (int) {
  }
  { const Timed timed("next", 1, 1); }
  const std::vector<ProfileRow> rows = stop_profile();
  CHECK(rows.size() == 2);
  CHECK(row_of(rows, "thrown").calls == 1);
  CHECK(row_of(rows, "next").calls == 1);
}

}  // namespace adaspan
