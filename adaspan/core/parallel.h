// SPDX-License-Identifier: MIT
// Parallel loops and sums. Whatever has to be the same bits for any number of threads goes through
// here: see parallel_parts.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/core/profile.h>

namespace adaspan {

/// Sets how many threads the loops below may use, whichever thread begins them; a loop that one
/// thread begins while another's is under way runs on that thread alone. OpenMP loops of the
/// program around are not touched. A part of open_process (ops/process.h), which programs call.
/// Throws Error below 1.
void set_threads(int threads);
/// That number, or what a ThreadLimit of the calling thread says.
int threads();

/// A number of threads, and what it comes from: "a quota of 1.5 processors".
struct ThreadChoice {
  int threads;
  std::string why;
};
/// The number when nobody names one: what OpenMP was told (OMP_NUM_THREADS), or the processors that
/// this process may use: those of its affinity, but no more than its control groups' quota lets it
/// use at once, rounded down, at least 1. Found out when the process starts.
const ThreadChoice& default_threads();
/// That rule: for so many processors, the number that OpenMP would take, and a quota.
ThreadChoice choose_threads(int processors, int openmp, std::optional<double> quota);

/// While it lives, parallel loops that the thread which made it begins have `threads` threads, and
/// so have those of a library that uses OpenMP: one, where its results could depend on the number.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_, before_of_openmp_;
};

/// Calls run() once on each of threads() threads, or fewer, and returns when all are done. For that
/// time each treats denormal numbers as the calling thread does. run must not throw.
void on_all_threads(const std::function<void()>& run);

/// How many chunks of `chunk` items [0, n) is cut into.
constexpr int64_t chunk_count(int64_t n, int64_t chunk) {
  return (n + chunk - 1) / chunk;
}

/// Calls body(begin, end) for [0, n) cut into chunks of `chunk` items; each chunk is one call, and
/// a thread that is done takes the next one. The first exception of a body is thrown again here,
/// after all bodies have ended.
template <class Body>
void parallel_chunks(int64_t n, int64_t chunk, const Body& body) {
  if (n <= 0) return;
  assert(chunk >= 1);
  const int64_t chunks = chunk_count(n, chunk);
  if (chunks <= 1) {
    body(int64_t{0}, n);
    return;
  }
  std::atomic<int64_t> next = 0;
  std::exception_ptr error;
  std::mutex mutex;
  const auto take_chunks = [&] {
    for (int64_t i = next++; i < chunks; i = next++) {
      try {
        body(i * chunk, std::min(n, (i + 1) * chunk));
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  };
  if (threads() > 1) note_pieces(chunks);
  on_all_threads(std::cref(take_chunks));  // a reference: std::function copies nothing
  if (error) std::rethrow_exception(error);
}

/// Calls body(i) for each i in [0, n): one item is one chunk.
template <class Body>
void parallel_for(int64_t n, const Body& body) {
  parallel_chunks(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// Sums. Floating-point addition rounds, so a sum depends on where it is cut and on the order in
// which its parts are added. This is the project's promise, kept by the three functions below and
// by every op that sums through them: the same bits come out for any number of threads, because
// chunk bounds depend on the amount of work alone, and parts are added in chunk order.

/// First half of a sum: compute(part, begin, end) sets part number `part` from the terms
/// begin .. end-1, part 0, 1, ... being the chunks of [0, n). There are chunk_count(n, chunk).
template <class Compute>
void parallel_parts(int64_t n, int64_t chunk, const Compute& compute) {
  parallel_chunks(n, chunk,
                  [&](int64_t begin, int64_t end) { compute(begin / chunk, begin, end); });
}

/// Second half of a sum of `places` numbers: add(part, begin, end) adds numbers begin .. end-1 of
/// part number `part` to the sum. Threads share the places, `chunk` at a time; each adds all parts
/// to its own, in their order.
template <class Add>
void add_in_order(int64_t parts, int64_t places, int64_t chunk, const Add& add) {
  parallel_chunks(places, chunk, [&](int64_t begin, int64_t end) {
    for (int64_t part = 0; part < parts; ++part) add(part, begin, end);
  });
}

/// Both halves for a sum that is one number: that of term(begin, end) over all chunks of [0, n).
template <class Term>
double sum_in_order(int64_t n, int64_t chunk, const Term& term) {
  std::vector<double> parts(static_cast<size_t>(chunk_count(n, chunk)));
  parallel_parts(n, chunk, [&](int64_t part, int64_t begin, int64_t end) {
    parts[static_cast<size_t>(part)] = term(begin, end);
  });
  double sum = 0;
  for (double part : parts) sum += part;
  return sum;
}

}  // namespace adaspan
