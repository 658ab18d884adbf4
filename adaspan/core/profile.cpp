// SPDX-License-Identifier: MIT
#include "adaspan/core/profile.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <functional>
#include <map>
#include <string_view>
#include <thread>
#include <utility>

namespace adaspan {
namespace {

using Clock = std::chrono::steady_clock;

struct Recording {
  std::atomic<bool> on = false;
  std::array<std::atomic<int64_t>, 3> counts{};  // of all threads
  std::thread::id thread;                        // the members below are of this thread alone
  Timed* innermost = nullptr;
  Clock::duration waiting{};
  std::map<std::string_view, ProfileRow> rows;
};

Recording& recording() {
  static Recording* const one = new Recording;  // never destroyed: see the pool of memory
  return *one;
}

bool recording_here() {
  const Recording& r = recording();
  return r.on.load(std::memory_order_acquire) && r.thread == std::this_thread::get_id();
}

Meters meters() {
  const Recording& r = recording();
  Meters now{.time = Clock::now().time_since_epoch(), .waiting = r.waiting, .counts = {}};
  std::ranges::copy(r.counts, now.counts.begin());
  return now;
}

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

void start_profile() {
  Recording& r = recording();
  assert(r.innermost == nullptr);
  r.rows.clear();
  r.thread = std::this_thread::get_id();
  r.on.store(true, std::memory_order_release);
}

std::vector<ProfileRow> stop_profile() {
  Recording& r = recording();
  assert(r.innermost == nullptr);
  r.on = false;
  std::vector<ProfileRow> rows;
  for (auto& [kernel, row] : r.rows) rows.push_back(std::move(row));
  r.rows.clear();
  std::ranges::stable_sort(rows, std::greater(), &ProfileRow::seconds);
  return rows;
}

void count(Counted what) {
  Recording& r = recording();
  if (!r.on.load(std::memory_order_relaxed)) return;
  r.counts[static_cast<size_t>(what)].fetch_add(1, std::memory_order_relaxed);
}

void note_pieces(int64_t pieces) {
  if (!recording_here() || recording().innermost == nullptr) return;
  int64_t& most = recording().innermost->pieces_;
  most = std::max(most, pieces);
}

Meters& Meters::operator+=(const Meters& more) {
  time += more.time;
  waiting += more.waiting;
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += more.counts[i];
  return *this;
}

Meters& Meters::operator-=(const Meters& less) {
  time -= less.time;
  waiting -= less.waiting;
  for (size_t i = 0; i < counts.size(); ++i) counts[i] -= less.counts[i];
  return *this;
}

Timed::Timed(const char* kernel, double flops, double bytes) : flops_(flops), bytes_(bytes) {
  if (!recording_here()) return;
  kernel_ = kernel;
  outer_ = std::exchange(recording().innermost, this);
  start_ = meters();
}

Timed::~Timed() {
  if (kernel_ == nullptr) return;
  Meters spent = meters();
  spent -= start_;
  Recording& r = recording();
  r.innermost = outer_;
  if (outer_ != nullptr) outer_->inner_ += spent;
  spent -= inner_;
  ProfileRow& row = r.rows[kernel_];
  row.kernel = kernel_;
  ++row.calls;
  if (pieces_ > 0) row.pieces = row.pieces == 0 ? pieces_ : std::min(row.pieces, pieces_);
  row.seconds += seconds(spent.time);
  row.waiting += seconds(spent.waiting);
  row.flops += flops_;
  row.bytes += bytes_;
  row.loops += spent.counts[static_cast<size_t>(Counted::loop)];
  row.plans += spent.counts[static_cast<size_t>(Counted::plan)];
  row.buffers += spent.counts[static_cast<size_t>(Counted::buffer)];
}

Waiting::Waiting() {
  if (recording_here()) start_ = Clock::now();
}

Waiting::~Waiting() {
  if (start_ != Clock::time_point()) recording().waiting += Clock::now() - start_;
}

}  // namespace adaspan
