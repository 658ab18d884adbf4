// SPDX-License-Identifier: MIT
#include "adaspan/core/phases.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

TEST_CASE("every item is done once, and no phase begins before the one before it has ended") {
  const int before = threads();
  for (int count : {1, 2, 3, 8}) {
    CAPTURE(count);
    set_threads(count);
    constexpr int64_t kPhases = 40, kItems = 37;
    Phases phases;
    std::vector<std::atomic<int>> done(kPhases * kItems);
    std::atomic<int> early = 0, ended = 0;
    for (int64_t p = 0; p < kPhases; ++p) {
      const int64_t items = p % 3 == 2 ? 1 : kItems;
      phases.add("a phase", 0, items, [&, p, items](int64_t item) {
        // Whatever was done before must be seen now.
        const int64_t last = p - 1, others = last % 3 == 2 ? 1 : kItems;
        for (int64_t i = 0; p > 0 && i < others; ++i) {
          early += done[static_cast<size_t>(last * kItems + i)] ==
                   done[static_cast<size_t>(p * kItems + item)];
        }
        done[static_cast<size_t>(p * kItems + item)] += 1;
        ended += items > 0;
      });
    }
    for (int run = 1; run <= 20; ++run) {
      ended = 0;
      phases.run();
      CHECK(ended == 27 * kItems + 13);
      CHECK(done[0] == run);
    }
    CHECK(early == 0);
  }
  set_threads(before);
}

TEST_CASE("a thread that has nothing left takes of the others' items") {
  const int before = threads();
  set_threads(2);
  Phases phases;
  std::atomic<int> done = 0;
  std::atomic<bool> others_waited = false;
  phases.add("a phase", 0, 8, [&](int64_t item) {
    if (item == 0) {  // as long as all others take, whose they are
      for (int i = 0; i < 5000 && done < 7; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      others_waited = done < 7;
    }
    ++done;
  });
  phases.run();
  CHECK(done == 8);
  CHECK_FALSE(others_waited);
  set_threads(before);
}

TEST_CASE("no phase, and a phase without items, is nothing to do") {
  Phases phases;
  phases.run();
  int calls = 0;
  phases.add("a phase", 0, 0, [&](int64_t) { ++calls; });
  phases.run();
  CHECK(calls == 0);
}

}  // namespace
}  // namespace adaspan
