// SPDX-License-Identifier: MIT
// The threads behind core/parallel.h, kept from one loop to the next.
#pragma once

#include <functional>

namespace adaspan {

/// Calls run() on the calling thread and on `others` more (fewer where the system has no more
/// threads to give), and returns true when all are done; run must not throw. While the threads are
/// at another caller's work: returns false and calls nothing.
///
/// Who waits, for work or for the others, spins for a tenth of a millisecond and then sleeps: on a
/// machine of its own a loop costs as much as with threads that spin, and beside other programs no
/// processor is kept busy by waiting for a thread that it thereby keeps from running.
///
/// A forked child has a team of its own. Where OpenMP's environment (OMP_PROC_BIND, OMP_PLACES,
/// GOMP_CPU_AFFINITY) binds threads, these are bound in the same way.
bool run_on_team(int others, const std::function<void()>& run);

}  // namespace adaspan
