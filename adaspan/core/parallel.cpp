// SPDX-License-Identifier: MIT
// The only place with OpenMP pragmas (simd hints aside).
#include "adaspan/core/parallel.h"

#include <omp.h>

#include <atomic>
#include <thread>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"

namespace adaspan {
namespace {

std::atomic<int> chosen = 0;                    // 0: nobody has chosen
thread_local int own_limit = 0;                 // of the ThreadLimit that lives; 0: none does
const int asked_for_early = default_threads();  // before anything can change it

}  // namespace

void set_threads(int threads) {
  require(threads >= 1, "[threads] expected at least 1; got {}", threads);
  chosen = threads;
}

int threads() {
  if (own_limit > 0) return own_limit;
  const int n = chosen;
  return n > 0 ? n : default_threads();
}

int default_threads() {
  // What OpenMP starts with knows OMP_NUM_THREADS and the affinity of the process.
  static const int at_start = omp_get_max_threads();
  return at_start;
}

ThreadLimit::ThreadLimit(int threads)
    : before_(own_limit), before_of_openmp_(omp_get_max_threads()) {
  own_limit = threads;
  omp_set_num_threads(threads);
}
ThreadLimit::~ThreadLimit() {
  own_limit = before_;
  omp_set_num_threads(before_of_openmp_);
}

void on_all_threads(const std::function<void()>& run_on_one) {
  const auto run = [&run_on_one, state = denormal_state()] {
    const FlushDenormals as_caller(state);
    run_on_one();
  };
  const int count = threads();
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not know how OpenMP's threads wait for each other; it knows std::thread.
  std::vector<std::jthread> others;
  for (int i = 1; i < count; ++i) {
    others.emplace_back([&] {
      const ThreadLimit alone(1);
      run();
    });
  }
  const ThreadLimit alone(1);
  run();
#else
#pragma omp parallel num_threads(count)
  run();
#endif
}

}  // namespace adaspan
