// SPDX-License-Identifier: MIT
#include "models/memory_cache.h"

#include <algorithm>

namespace adaspan {

Memory empty_memory(int64_t layers, int64_t B, int64_t H) {
  return Memory(layers, share(Tensor({0, B, H})));
}

Value extend_memory(const Value& memory, const Value& x, int64_t length) {
  const int64_t C = memory->shape()[0], M = x->shape()[0], B = x->shape()[1], H = x->shape()[2];
  if (length == M) return x;
  const int64_t from_x = std::min(length, M);
  const int64_t from_memory = std::min(length - from_x, C);
  const int64_t step = B * H;
  Tensor next({from_memory + from_x, B, H});
  std::copy_n(memory->data() + (C - from_memory) * step, from_memory * step, next.data());
  std::copy_n(x->data() + (M - from_x) * step, from_x * step, next.data() + from_memory * step);
  return share(std::move(next));
}

}  // namespace adaspan
