// SPDX-License-Identifier: MIT
// Work of many short phases in one parallel loop: a phase begins when all items of the one before
// are done. To begin a loop for each would cost more than the work, where that is microseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace adaspan {

class Phases {
 public:
  /// Adds a phase: body(item) for each item in [0, items), on any thread and in any order. It must
  /// not throw, and what it writes must not depend on the thread. A profile has its time under the
  /// name `kernel`, a literal, and that it reads so many bytes.
  void add(const char* kernel, double bytes, int64_t items, std::function<void(int64_t item)> body);

  /// All phases, one after another, on as many threads as parallel loops have. Each thread has its
  /// share of a phase's items, the same one each time, so that what it reads stays in its cache;
  /// who is done takes of the others'.
  void run();

 private:
  struct alignas(64) Counter {  // a cache line each
    std::atomic<int64_t> value = 0;
  };
  struct Phase {
    const char* kernel;
    double bytes;
    int64_t items;
    std::function<void(int64_t)> body;
    std::unique_ptr<Counter[]> taken;  // of each thread's share
    Counter done;
  };
  void reset(int shares);
  void work(int share);
  void work_on(Phase& phase, int share);
  static void wait_for(const Phase& phase);

  std::vector<std::unique_ptr<Phase>> phases_;
  int shares_ = 0;
};

}  // namespace adaspan
