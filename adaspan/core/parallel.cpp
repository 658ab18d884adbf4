// SPDX-License-Identifier: MIT
#include "adaspan/core/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>

#include "adaspan/core/control_groups.h"
#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/thread_team.h"

namespace adaspan {
namespace {

std::atomic<int> chosen = 0;                          // 0: nobody has chosen
thread_local int own_limit = 0;                       // of the ThreadLimit that lives; 0: none does
const ThreadChoice& found_early = default_threads();  // before anything can change it

}  // namespace

void set_threads(int threads) {
  require(threads >= 1, "[threads] expected at least 1; got {}", threads);
  chosen = threads;
}

int threads() {
  if (own_limit > 0) return own_limit;
  const int n = chosen;
  return n > 0 ? n : default_threads().threads;
}

ThreadChoice choose_threads(int processors, int openmp, std::optional<double> quota) {
  if (openmp != processors) return {std::max(1, openmp), "OMP_NUM_THREADS"};
  if (!quota || *quota >= processors) return {processors, "one for each processor"};
  return {std::max(1, static_cast<int>(*quota)),
          fmt::format("a quota of {:.3g} processors", *quota)};
}

const ThreadChoice& default_threads() {
  static const ThreadChoice choice =
      choose_threads(omp_get_num_procs(), std::min(omp_get_max_threads(), omp_get_thread_limit()),
                     group_limits().processors);
  return choice;
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
  const int others = threads() - 1;
  if (others == 0) return run_on_one();
  const auto run = [&run_on_one, state = denormal_state()] {
    const FlushDenormals as_caller(state);
    run_on_one();
  };
  const ThreadLimit alone(1);  // what begins within the loop
  if (!run_on_team(others, run)) run_on_one();
}

}  // namespace adaspan
