// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>

#include <adaspan/core/buffer_pool.h>

namespace adaspan {

/// Zeroed memory for n numbers.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : buffer_(allocate(static_cast<size_t>(n) * sizeof(T))) {
    std::memset(buffer_.get(), 0, static_cast<size_t>(n) * sizeof(T));
  }
  T* data() { return reinterpret_cast<T*>(buffer_.get()); }
  const T* data() const { return reinterpret_cast<const T*>(buffer_.get()); }

 private:
  Buffer buffer_;
};

}  // namespace adaspan
