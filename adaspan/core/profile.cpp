// SPDX-License-Identifier: MIT
#include "adaspan/core/profile.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <functional>
#include <map>
#include <string_view>
#include <thread>
#include <utility>

namespace adaspan {
namespace {

struct Recording {
  std::atomic<bool> on = false;
  std::thread::id thread;  // the members below are of this thread alone
  Timed* innermost = nullptr;
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

Timed::Timed(const char* kernel, double flops, double bytes) : flops_(flops), bytes_(bytes) {
  if (!recording_here()) return;
  kernel_ = kernel;
  outer_ = std::exchange(recording().innermost, this);
  start_ = Clock::now();
}

Timed::~Timed() {
  if (kernel_ == nullptr) return;
  const Clock::duration whole = Clock::now() - start_;
  Recording& r = recording();
  r.innermost = outer_;
  if (outer_ != nullptr) outer_->inner_ += whole;
  ProfileRow& row = r.rows[kernel_];
  row.kernel = kernel_;
  ++row.calls;
  row.seconds += std::chrono::duration<double>(whole - inner_).count();
  row.flops += flops_;
  row.bytes += bytes_;
}

}  // namespace adaspan
