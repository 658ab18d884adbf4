// SPDX-License-Identifier: MIT
#include "adaspan/core/thread_team.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

// Longer than most waits within a step, and far shorter than the time that the system gives a
// program: beside others little is lost before the processor is theirs.
constexpr std::chrono::microseconds kSpin{100};

// Not std::atomic's wait, which yields before it sleeps: beside a program that computes, each time
// for as long as that likes to.
using Word = std::atomic<uint32_t>;
void sleep_while(const Word& word, uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake_who_sleeps(const Word& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

/// Waits until `word` is no longer `old`.
void wait_for_change(const Word& word, uint32_t old, bool spin) {
  constexpr int kLooks = 16;  // between looks at the clock
  const auto changed = [&] { return word.load(std::memory_order_acquire) != old; };
  if (spin) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    while (std::chrono::steady_clock::now() < end) {
      for (int i = 0; i < kLooks; ++i) {
        if (changed()) return;
        _mm_pause();
      }
    }
  }
  while (!changed()) sleep_while(word, old);
}

/// Binds the calling thread where OpenMP would have its thread `number` of `count`, if the user has
/// told it to bind threads; `first` is the place of thread 0.
void take_place(int number, int count, int first) {
  const int places = omp_get_num_places();
  if (omp_get_proc_bind() == omp_proc_bind_false || places == 0 || first < 0) return;
  const int step = omp_get_proc_bind() == omp_proc_bind_master   ? 0
                   : omp_get_proc_bind() == omp_proc_bind_spread ? std::max(1, places / count)
                                                                 : 1;
  const int place = (first + number * step) % places;
  std::vector<int> processors(static_cast<size_t>(omp_get_place_num_procs(place)));
  omp_get_place_proc_ids(place, processors.data());
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int processor : processors) CPU_SET(static_cast<size_t>(processor), &set);
  ::sched_setaffinity(0, sizeof set, &set);  // where it fails the thread runs all the same
}

class Team {
 public:
  bool run(int others, const std::function<void()>& work) {
    const std::unique_lock turn(one_at_a_time_, std::try_to_lock);
    if (!turn) return false;
    grow_to(others);
    const int helpers = std::min(others, static_cast<int>(members_.size()));
    count(Counted::loop);
    work_ = &work;
    spin_ = helpers < processors_;  // else who spins may keep from work who is waited for
    at_work_.store(helpers, std::memory_order_relaxed);
    for (int i = 0; i < helpers; ++i) {
      Word& turns = members_[static_cast<size_t>(i)].turns;
      turns.fetch_add(1);
      wake_who_sleeps(turns);
    }
    work();
    const Waiting waiting;
    for (uint32_t n; (n = at_work_.load(std::memory_order_acquire)) != 0;) {
      wait_for_change(at_work_, n, spin_);
    }
    return true;
  }

 private:
  struct alignas(64) Member {  // a cache line each
    Word turns = 0;
  };

  void grow_to(int count) {
    const int first = omp_get_place_num();
    while (static_cast<int>(members_.size()) < count) {
      Member& member = members_.emplace_back();
      const int number = static_cast<int>(members_.size());
      try {
        std::thread([this, &member, number, count, first] {
          take_place(number, count + 1, first);
          serve(member);
        }).detach();
      } catch (const std::system_error&) {
        members_.pop_back();
        return;
      }
    }
  }

  void serve(Member& member) {
    const ThreadLimit alone(1);  // loops within a loop, and products of libraries
    for (uint32_t turn = 0;; ++turn) {
      wait_for_change(member.turns, turn, spin_);
      (*work_)();
      if (at_work_.fetch_sub(1) == 1) wake_who_sleeps(at_work_);
    }
  }

  const int processors_ = omp_get_num_procs();
  std::mutex one_at_a_time_;
  std::deque<Member> members_;  // which does not move what it holds
  const std::function<void()>* work_ = nullptr;
  std::atomic<bool> spin_ = false;
  Word at_work_ = 0;  // members that are not done yet
};

// Never destroyed: the process may end while its threads wait, or work.
std::atomic<Team*>& team() {
  static std::atomic<Team*> current = [] {
    ::pthread_atfork(nullptr, nullptr, [] { team() = new Team; });
    return new Team;
  }();
  return current;
}

}  // namespace

bool run_on_team(int others, const std::function<void()>& run) {
  return team().load()->run(others, run);
}

}  // namespace adaspan
