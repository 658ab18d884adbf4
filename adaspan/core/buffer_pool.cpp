// SPDX-License-Identifier: MIT
#include "adaspan/core/buffer_pool.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

/// The size that is really reserved: a multiple of an eighth of the next lower power of two, so
/// that sizes that differ little share one list and at most an eighth is wasted.
size_t size_class(size_t bytes) {
  const size_t step = std::max(kAlignment, std::bit_floor(std::max<size_t>(bytes, 1)) / 8);
  return (bytes + step - 1) / step * step + (bytes == 0 ? step : 0);
}

class Pool {
 public:
  Buffer take(size_t bytes) {
    size_t size = size_class(bytes);
    std::lock_guard lock(mutex_);
    std::byte* block = nullptr;
    // A block that is a little too large spares the system another one.
    if (auto kept = kept_.lower_bound(size);
        kept != kept_.end() && kept->first <= size + size / 4) {
      size = kept->first;
      block = kept->second.back();
      kept->second.pop_back();
      if (kept->second.empty()) kept_.erase(kept);
    } else {
      block = fresh(size);
    }
    use_.in_use += size;
    use_.peak = std::max(use_.peak, use_.in_use);
    return Buffer(block, BufferDeleter{size});
  }

  void give_back(std::byte* block, size_t size) {
    std::lock_guard lock(mutex_);
    kept_[size].push_back(block);
    use_.in_use -= size;
  }

  void release() {
    std::lock_guard lock(mutex_);
    release_locked();
  }

  PoolUse use() {
    std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  std::byte* fresh(size_t size) {
    // Kept blocks of sizes nobody asks for any more (spans move) must not pile up.
    const size_t enough = use_.peak + use_.peak / 16 + (size_t{64} << 20);
    while (use_.reserved + size > enough && !kept_.empty()) release_largest();
    const size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    void* block = nullptr;
    if (posix_memalign(&block, alignment, size) != 0) {
      release_locked();  // blocks kept for other sizes may be what is missing
      if (posix_memalign(&block, alignment, size) != 0) block = nullptr;
    }
    if (block == nullptr) {
      throw OutOfMemory(fmt::format(
          "[memory] expected {} more bytes; the system has none left ({} in use); use a smaller "
          "batch, block or model, or batch.split",
          size, use_.in_use));
    }
    if (size >= kHugePage) madvise(block, size, MADV_HUGEPAGE);
    use_.reserved += size;
    return static_cast<std::byte*>(block);
  }

  void release_locked() {
    while (!kept_.empty()) release_largest();
  }

  void release_largest() {
    const auto largest = std::prev(kept_.end());
    std::free(largest->second.back());
    use_.reserved -= largest->first;
    largest->second.pop_back();
    if (largest->second.empty()) kept_.erase(largest);
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> kept_;  // no empty lists
  PoolUse use_{};
};

Pool& pool() {
  static Pool* one = new Pool;  // never destroyed: tensors of static lifetime may outlive main
  return *one;
}

}  // namespace

void BufferDeleter::operator()(std::byte* data) const {
  pool().give_back(data, bytes);
}

Buffer allocate(size_t bytes) {
  require(bytes <= PTRDIFF_MAX, "[memory] expected at most {} bytes; got {}", PTRDIFF_MAX, bytes);
  count(Counted::buffer);
  return pool().take(bytes);
}

size_t reserved_for(size_t bytes) {
  return size_class(bytes);
}

PoolUse pool_use() {
  return pool().use();
}

void release_kept_buffers() {
  pool().release();
}

size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace adaspan
