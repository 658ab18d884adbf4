// SPDX-License-Identifier: MIT
// The only place with OpenMP pragmas (simd hints aside).
#include "adaspan/core/parallel.h"

#include <omp.h>

#include <thread>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"

namespace adaspan {

void set_threads(int threads) {
  require(threads >= 1, "[threads] expected at least 1; got {}", threads);
  omp_set_num_threads(threads);
}

int threads() {
  return omp_get_max_threads();
}

int default_threads() {
  return omp_get_num_procs();  // knows the affinity of the process
}

OneThread::OneThread() : before_(omp_get_max_threads()) {
  omp_set_num_threads(1);
}
OneThread::~OneThread() {
  omp_set_num_threads(before_);
}

void on_all_threads(const std::function<void()>& run_on_one) {
  const auto run = [&run_on_one, flush = flushes_denormals()] {
    const FlushDenormals as_caller(flush);
    run_on_one();
  };
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

}  // namespace adaspan
