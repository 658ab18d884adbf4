// SPDX-License-Identifier: MIT
// What a layer remembers, as a tensor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <adaspan/models/memory_cache.h>

namespace adaspan {

/// The memory of a layer of the whole batch, [C,B,H], from that of its parts.
inline Tensor values_of(const std::vector<LayerMemory>& parts) {
  Tensor all(side_by_side(parts), parts[0].type());
  with_type(all.type(), [&]<class T>(T) {
    auto* to = reinterpret_cast<std::byte*>(all.data<T>());
    visit_bytes(parts, [&](std::span<const std::byte> some) {
      to = std::copy(some.begin(), some.end(), to);
    });
  });
  return all;
}

}  // namespace adaspan
