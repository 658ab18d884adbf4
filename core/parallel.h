// SPDX-License-Identifier: MIT
// Parallel loops, and the only place with OpenMP pragmas (simd hints aside). Work is cut into
// chunks whose bounds depend on the amount of work alone, never on the number of threads, and
// partial sums are added in chunk order: the same bits come out for any thread count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>

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

/// Calls body(begin, end) for [0, n) cut into chunks of `chunk` items; each chunk is one call. The
/// first exception of a body is thrown again here, after all bodies have ended.
template <class Body>
void parallel_chunks(int64_t n, int64_t chunk, const Body& body) {
  const int64_t chunks = (n + chunk - 1) / chunk;
  if (chunks <= 1) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  std::exception_ptr error;
  std::mutex mutex;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < chunks; ++i) {
    try {
      body(i * chunk, std::min(n, (i + 1) * chunk));
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }
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
