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

/// Sequences [first, first+count) of steps [C,B,H]: a copy.
Tensor sequences_of(const Tensor& from, int64_t first, int64_t count) {
  const int64_t C = from.shape()[0], B = from.shape()[1], H = from.shape()[2];
  Tensor some({C, count, H}, from.type());
  with_type(from.type(), [&]<class T>(T) {
    for (int64_t c = 0; c < C; ++c) {
      std::copy_n(from.data<T>() + (c * B + first) * H, count * H, some.data<T>() + c * count * H);
    }
  });
  return some;
}

/// The bytes of the steps of a segment, or of one of them.
std::span<const std::byte> bytes_from(const MemorySegment& segment, int64_t first, int64_t steps) {
  const Tensor& value = *segment.value;
  const size_t step = static_cast<size_t>(value.shape()[1] * value.shape()[2]);
  return with_type(value.type(), [&]<class T>(T) {
    return std::as_bytes(value.values<T>().subspan(
        static_cast<size_t>(segment.begin + first) * step, static_cast<size_t>(steps) * step));
  });
}

size_t bytes_of(const MemorySegment& segment) {
  const Shape& shape = segment.value->shape();
  return static_cast<size_t>(segment.steps * shape[1] * shape[2]) * size_of(segment.value->type());
}

}  // namespace

LayerMemory::LayerMemory(int64_t B, int64_t H, DType type) {
  segments_.push_back({share(Tensor({0, B, H}, type)), 0, 0});
}

int64_t LayerMemory::steps() const {
  return steps_in(segments_);
}

Shape LayerMemory::shape() const {
  const Shape& first = segments_[0].value->shape();
  return {steps(), first[1], first[2]};
}

LayerMemory LayerMemory::extended(const Value& x, int64_t length) const {
  LayerMemory next = *this;
  std::vector<MemorySegment>& all = next.segments_;
  const bool same = x->type() == type();
  all.push_back({same ? x : share(x->converted(type())), 0, x->shape()[0]});
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

StepsInUse steps_in_use(int64_t length, int64_t M, int64_t B, int64_t H, DType type) {
  // Of the blocks that it reaches into, all but the oldest are whole.
  const int64_t blocks = length / M, rest = length % M;
  const bool copies = 4 * rest < 3 * M;
  StepsInUse n{.held = blocks * M + (rest == 0 || copies ? rest : M),
               .shared = blocks > 0 || !copies ? M : 0,
               .copied = copies ? rest : 0,
               .segments = blocks + 1};
  const double bytes = static_cast<double>(length) * B * H * size_of(type);
  if (bytes <= kSmall && length > M)
    n.copied = std::max(n.copied, length);  // joined with the newest
  return n;
}

Shape side_by_side(const std::vector<LayerMemory>& parts) {
  int64_t B = 0;
  for (const LayerMemory& part : parts) {
    assert(part.steps() == parts[0].steps());
    B += part.shape()[1];
  }
  return {parts[0].steps(), B, parts[0].shape()[2]};
}

void visit_bytes(const std::vector<LayerMemory>& parts,
                 const std::function<void(std::span<const std::byte>)>& visit) {
  if (parts.size() == 1) {
    for (const MemorySegment& segment : parts[0].segments()) {
      visit(bytes_from(segment, 0, segment.steps));
    }
    return;
  }
  // Step by step the sequences of one part after another; of each part, where its next step is.
  struct Place {
    size_t segment = 0;
    int64_t step = 0;
  };
  std::vector<Place> places(parts.size());
  for (int64_t c = 0; c < parts[0].steps(); ++c) {
    for (size_t i = 0; i < parts.size(); ++i) {
      auto& [segment, step] = places[i];
      const std::vector<MemorySegment>& segments = parts[i].segments();
      while (step == segments[segment].steps) {
        ++segment;
        step = 0;
      }
      visit(bytes_from(segments[segment], step++, 1));
    }
  }
}

void extend_side_by_side(std::vector<LayerMemory>& parts, Tensor steps) {
  const int64_t count = steps.shape()[0], B = steps.shape()[1];
  const auto extend = [&](LayerMemory& part, Tensor its_own) {
    part = part.extended(share(std::move(its_own)), part.steps() + count);
  };
  if (parts.size() == 1) return extend(parts[0], std::move(steps));
  const int64_t each = B / static_cast<int64_t>(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    extend(parts[i], sequences_of(steps, static_cast<int64_t>(i) * each, each));
  }
}

Memory empty_memory(int64_t layers, int64_t B, int64_t H, DType type) {
  return Memory(static_cast<size_t>(layers), LayerMemory(B, H, type));
}

}  // namespace adaspan
