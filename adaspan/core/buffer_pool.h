// SPDX-License-Identifier: MIT
// Memory of tensors. A training step asks for the same sizes again and again, and a C library gives
// large buffers back to the system each time (page faults then cost more than the arithmetic), so
// freed blocks are kept in lists by size class and handed out again. The pool is process-wide, like
// the heap it stands in for; no result depends on its state. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>

namespace adaspan {

struct PoolUse {
  size_t in_use;    ///< bytes held by live buffers
  size_t peak;      ///< most bytes ever in use at once
  size_t reserved;  ///< bytes taken from the system, in use or kept for later
};

struct BufferDeleter {
  size_t bytes = 0;  ///< of the block, at least as many as were asked for
  void operator()(std::byte* data) const;
};

/// 64-byte aligned bytes that return to the pool when they go out of scope.
using Buffer = std::unique_ptr<std::byte[], BufferDeleter>;

/// `bytes` uninitialised bytes. Throws OutOfMemory when the system has no more.
Buffer allocate(size_t bytes);

/// How many bytes a buffer of `bytes` takes from the system, at most an eighth more.
size_t reserved_for(size_t bytes);

PoolUse pool_use();

/// Gives all kept blocks back to the system.
void release_kept_buffers();

/// Largest resident set of this process so far, in bytes.
size_t peak_resident_bytes();

}  // namespace adaspan
