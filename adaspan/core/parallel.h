// SPDX-License-Identifier: MIT
// Parallel loops, and the only place with OpenMP pragmas (simd hints aside). Work is cut into
// chunks whose bounds depend on the amount of work alone, never on the number of threads, and
// partial sums are added in chunk order: the same bits come out for any thread count.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace adaspan {

/// Sets how many threads the loops below may use, for the whole process. Throws Error below 1.
void set_threads(int threads);
int threads();

/// While it lives, parallel loops that the thread which made it begins have one thread: for calls
/// of a library whose result could depend on the number.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Calls run() once on each of threads() threads, and returns when all are done.
template <class Run>
void on_all_threads(const Run& run) {
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not know how OpenMP's threads wait for each other; it knows std::thread.
  std::vector<std::jthread> others;
  for (int i = 1; i < threads(); ++i) {
    others.emplace_back([&] {
      const OneThread alone;
      run();
    });
  }
  const OneThread alone;
  run();
#else
#pragma omp parallel
  run();
#endif
}

/// Calls body(begin, end) for [0, n) cut into chunks of `chunk` items; each chunk is one call, and
/// a thread that is done takes the next one. The first exception of a body is thrown again here,
/// after all bodies have ended.
template <class Body>
void parallel_chunks(int64_t n, int64_t chunk, const Body& body) {
  if (n <= 0) return;
  assert(chunk >= 1);
  const int64_t chunks = (n + chunk - 1) / chunk;
  if (chunks <= 1) {
    body(int64_t{0}, n);
    return;
  }
  std::atomic<int64_t> next = 0;
  std::exception_ptr error;
  std::mutex mutex;
  on_all_threads([&] {
    for (int64_t i = next++; i < chunks; i = next++) {
      try {
        body(i * chunk, std::min(n, (i + 1) * chunk));
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  });
  if (error) std::rethrow_exception(error);
}

/// Calls body(i) for each i in [0, n): one item is one chunk.
template <class Body>
void parallel_for(int64_t n, const Body& body) {
  parallel_chunks(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace adaspan
