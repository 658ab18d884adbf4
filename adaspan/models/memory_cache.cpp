// SPDX-License-Identifier: MIT
#include "adaspan/models/memory_cache.h"

#include <algorithm>
#include <cassert>
#include <span>

namespace adaspan {
namespace {

/// Values up to so many bytes are small: a copy costs less than one more segment.
constexpr size_t kSmall = size_t{1} << 20;

int64_t steps_in(std::span<const MemorySegment> segments) {
  int64_t steps = 0;
  for (const MemorySegment& segment : segments) steps += segment.steps;
  return steps;
}

/// A copy of all their steps, one after another.
Tensor copy_of(std::span<const MemorySegment> segments) {
  const Tensor& first = *segments[0].value;
  const int64_t B = first.shape()[1], H = first.shape()[2];
  Tensor all({steps_in(segments), B, H}, first.type());
  with_type(first.type(), [&]<class T>(T) {
    T* to = all.data<T>();
    for (const MemorySegment& segment : segments) {
      to = std::copy_n(segment.value->data<T>() + segment.begin * B * H, segment.steps * B * H, to);
    }
  });
  return all;
}

MemorySegment whole(Tensor steps) {
  const int64_t count = steps.shape()[0];
  return {share(std::move(steps)), 0, count};
}

/// Copies `count` sequences of each step, from sequence `first` of [C,B,H] to sequence `to_first`.
void copy_sequences(Tensor& to, int64_t to_first, const Tensor& from, int64_t first,
                    int64_t count) {
  const int64_t C = from.shape()[0], B = from.shape()[1], H = from.shape()[2];
  const int64_t to_B = to.shape()[1];
  with_type(from.type(), [&]<class T>(T) {
    for (int64_t c = 0; c < C; ++c) {
      std::copy_n(from.data<T>() + (c * B + first) * H, count * H,
                  to.data<T>() + (c * to_B + to_first) * H);
    }
  });
}

size_t bytes_of(const MemorySegment& segment) {
  const Shape& shape = segment.value->shape();
  return static_cast<size_t>(segment.steps * shape[1] * shape[2]) * size_of(segment.value->type());
}

}  // namespace

LayerMemory::LayerMemory(int64_t B, int64_t H, DType type)
    : LayerMemory(share(Tensor({0, B, H}, type))) {}

LayerMemory::LayerMemory(Value steps) {
  const int64_t count = steps->shape()[0];
  segments_.push_back({std::move(steps), 0, count});
}

int64_t LayerMemory::steps() const {
  return steps_in(segments_);
}

Shape LayerMemory::shape() const {
  const Shape& first = segments_[0].value->shape();
  return {steps(), first[1], first[2]};
}

LayerMemory LayerMemory::extended(const Value& x, int64_t length) const {
  assert(x->type() == type());
  LayerMemory next = *this;
  std::vector<MemorySegment>& all = next.segments_;
  all.push_back({x, 0, x->shape()[0]});
  // Only the newest `length` steps.
  int64_t excess = std::max<int64_t>(0, steps_in(all) - length);
  while (all.size() > 1 && all[0].steps <= excess) {
    excess -= all[0].steps;
    all.erase(all.begin());
  }
  all[0].begin += excess;
  all[0].steps -= excess;

  for (MemorySegment& segment : all) {
    if (4 * segment.steps < 3 * segment.value->shape()[0]) segment = whole(copy_of({&segment, 1}));
  }
  // Joined when the older is not the larger, so that each step is copied a few times only.
  while (all.size() > 1) {
    const MemorySegment &older = all[all.size() - 2], &newer = all.back();
    if (older.steps > newer.steps || bytes_of(older) + bytes_of(newer) > kSmall) break;
    MemorySegment both = whole(copy_of(std::span(all).last(2)));
    all.resize(all.size() - 2);
    all.push_back(std::move(both));
  }
  return next;
}

Tensor LayerMemory::joined() const {
  return copy_of(segments_);
}

StepsInUse steps_in_use(int64_t length, int64_t M, int64_t B, int64_t H, DType type) {
  // Of the blocks that it reaches into, all but the oldest are whole.
  const int64_t blocks = length / M, rest = length % M;
  const bool copies = 4 * rest < 3 * M;
  StepsInUse n{.held = blocks * M + (rest == 0 || copies ? rest : M),
               .shared = blocks > 0 || !copies ? M : 0,
               .copied = copies ? rest : 0,
               .segments = blocks + 1};
  const double bytes = static_cast<double>(length) * B * H * size_of(type);
  if (bytes <= kSmall) n.copied = std::max(n.copied, length);  // joined with the newest
  return n;
}

Memory sequences_of(const Memory& batch, int64_t first, int64_t count) {
  Memory part;
  for (const LayerMemory& layer : batch) {
    const Tensor all = layer.joined();
    Tensor some({layer.steps(), count, all.shape()[2]}, layer.type());
    copy_sequences(some, 0, all, first, count);
    part.emplace_back(share(std::move(some)));
  }
  return part;
}

Memory side_by_side(const std::vector<Memory>& parts) {
  if (parts.size() == 1) return parts[0];
  Memory batch;
  for (size_t l = 0; l < parts[0].size(); ++l) {
    int64_t B = 0;
    for (const Memory& part : parts) B += part[l].shape()[1];
    const Shape first = parts[0][l].shape();
    Tensor all({first[0], B, first[2]}, parts[0][l].type());
    int64_t sequence = 0;
    for (const Memory& part : parts) {
      const Tensor some = part[l].joined();
      assert(some.shape()[0] == first[0]);
      copy_sequences(all, sequence, some, 0, some.shape()[1]);
      sequence += some.shape()[1];
    }
    batch.emplace_back(share(std::move(all)));
  }
  return batch;
}

Memory empty_memory(int64_t layers, int64_t B, int64_t H, DType type) {
  return Memory(static_cast<size_t>(layers), LayerMemory(B, H, type));
}

}  // namespace adaspan
