// SPDX-License-Identifier: MIT
#include "adaspan/core/phases.h"

#include <thread>
#include <utility>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace adaspan {
namespace {

constexpr int kSpins = 20'000;  // about a tenth of a millisecond: longer than a phase

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

void Phases::add(const char* kernel, double bytes, int64_t items,
                 std::function<void(int64_t)> body) {
  phases_.push_back(std::make_unique<Phase>());
  Phase& phase = *phases_.back();
  phase.kernel = kernel;
  phase.bytes = bytes;
  phase.items = items;
  phase.body = std::move(body);
  shares_ = 0;
}

void Phases::run() {
  const int count = threads();
  if (count == 1) {
    for (const auto& phase : phases_) {
      const Timed timed(phase->kernel, 0, phase->bytes);
      for (int64_t item = 0; item < phase->items; ++item) phase->body(item);
    }
    return;
  }
  reset(count);
  std::atomic<int> others = 1;
  const std::thread::id first = std::this_thread::get_id();
  on_all_threads([&] { work(std::this_thread::get_id() == first ? 0 : others++); });
}

void Phases::reset(int shares) {
  for (const auto& phase : phases_) {
    if (shares != shares_) phase->taken = std::make_unique<Counter[]>(static_cast<size_t>(shares));
    for (int i = 0; i < shares; ++i) phase->taken[static_cast<size_t>(i)].value = 0;
    phase->done.value = 0;
  }
  shares_ = shares;
}

void Phases::work(int share) {
  for (const auto& phase : phases_) {
    const Timed timed(phase->kernel, 0, phase->bytes);
    work_on(*phase, share);
    wait_for(*phase);
  }
}

/// Others may still be at it, and only they can end it: threads that never came hold no item.
void Phases::wait_for(const Phase& phase) {
  const auto ended = [&] {
    return phase.done.value.load(std::memory_order_acquire) >= phase.items;
  };
  if (ended()) return;
  const Waiting waiting;
  for (int spin = 0; !ended(); ++spin) {
    if (spin < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void Phases::work_on(Phase& phase, int share) {
  for (int i = 0; i < shares_; ++i) {
    const int64_t of = (share + i) % shares_;
    const int64_t begin = of * phase.items / shares_, end = (of + 1) * phase.items / shares_;
    std::atomic<int64_t>& taken = phase.taken[static_cast<size_t>(of)].value;
    int64_t done = 0;
    while (begin + taken.load(std::memory_order_relaxed) < end) {
      const int64_t item = begin + taken.fetch_add(1, std::memory_order_relaxed);
      if (item >= end) break;
      phase.body(item);
      ++done;
    }
    if (done > 0) phase.done.value.fetch_add(done, std::memory_order_release);
  }
}

}  // namespace adaspan
