// SPDX-License-Identifier: MIT
#include "adaspan/core/parallel.h"

#include <omp.h>

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

}  // namespace adaspan
