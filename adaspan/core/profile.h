// SPDX-License-Identifier: MIT
// Where the time of a step goes: seconds, arithmetic and memory traffic of each kernel. Off unless
// asked for, and process-wide, like the pool of memory: no result depends on it.
//
//   start_profile();
//   trainer.step();
//   for (const ProfileRow& row : stop_profile()) ...
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace adaspan {

struct ProfileRow {
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;  ///< without the time of kernels that it called and that are timed themselves
  double flops = 0;    ///< floating-point operations, as its callers counted them
  double bytes = 0;    ///< read from and written to memory, likewise
  double waiting = 0;  ///< of its seconds: until other threads had done their part of a loop
  /// While it ran, on any thread: loops shared among threads, plans of products made, and buffers
  /// taken.
  int64_t loops = 0, plans = 0, buffers = 0;
  /// Pieces that its work is cut in, for as many threads: those of its largest loop, the fewest of
  /// all calls; 0: no call shared a loop.
  int64_t pieces = 0;
};

/// Forgets what was recorded and records what the calling thread does from now on.
void start_profile();
/// Ends the recording. One row per kernel, the longest time first; none if there was no start.
std::vector<ProfileRow> stop_profile();

enum class Counted { loop, plan, buffer };
/// One more of `what`, for the kernel that runs; from any thread. Does nothing unless something is
/// recorded.
void count(Counted what);

/// A loop that threads share was cut in so many pieces, for the kernel that runs. Does nothing on
/// other threads than the one that started the recording.
void note_pieces(int64_t pieces);

/// What grows while a recording goes on; of two, the earlier is taken from the later.
struct Meters {
  std::chrono::steady_clock::duration time{}, waiting{};
  std::array<int64_t, 3> counts{};  // of each Counted

  Meters& operator+=(const Meters& more);
  Meters& operator-=(const Meters& less);
};

/// Records its own lifetime under the name of a kernel. To be put around whole parallel loops: on
/// other threads than the one that started the recording it does nothing, nor while
/// nothing is recorded. Of nested ones, the inner time is taken from the outer one's, so that the
/// times of all kernels add up to the time that was spent in any.
class Timed {
 public:
  /// `kernel` must outlive the recording: a literal.
  Timed(const char* kernel, double flops, double bytes);
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;
  ~Timed();

 private:
  friend void note_pieces(int64_t pieces);

  const char* kernel_ = nullptr;  // none: nothing is recorded
  double flops_, bytes_;
  Timed* outer_ = nullptr;
  Meters start_, inner_;
  int64_t pieces_ = 0;  // of its largest loop
};

/// Records its lifetime as spent waiting for other threads, under the same conditions.
class Waiting {
 public:
  Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting();

 private:
  std::chrono::steady_clock::time_point start_;  // zero: nothing is recorded
};

}  // namespace adaspan
