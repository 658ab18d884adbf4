// SPDX-License-Identifier: MIT
// What each layer remembers of the blocks before: its own inputs, the newest C of them (Dai et al.
// 2019). They are values, not variables: no gradient flows into the past.
#pragma once

#include <vector>

#include <adaspan/ops/memory_projection.h>

namespace adaspan {

/// The newest C steps of one layer, [C,B,H]; C grows from 0 at the start of a stream. Steps before
/// that are zeros that need no storage. They stay where they were made: a memory is a list of parts
/// of past values, which it shares.
class LayerMemory {
 public:
  /// No steps.
  LayerMemory(int64_t B, int64_t H, DType type = DType::f32);
  /// All steps of a value [C,B,H].
  explicit LayerMemory(Value steps);

  int64_t steps() const;
  /// [C,B,H]
  Shape shape() const;
  DType type() const { return segments_[0].value->type(); }
  /// Oldest first; at least one.
  const std::vector<MemorySegment>& segments() const { return segments_; }

  /// The last `length` steps of these followed by x [M,B,H]; fewer if there are fewer. What is
  /// copied, and what of the values is held without being remembered, is bounded: a value of which
  /// less than three quarters are left is replaced by a copy of those, and runs of small values by
  /// one.
  LayerMemory extended(const Value& x, int64_t length) const;
  /// All steps as one tensor.
  Tensor joined() const;

 private:
  std::vector<MemorySegment> segments_;
};

/// One for each layer.
using Memory = std::vector<LayerMemory>;

/// Sequences [first, first+count) of a batch's memory: copies.
Memory sequences_of(const Memory& batch, int64_t first, int64_t count);
/// The memory of a batch, from that of its parts in order, which remember equally many steps.
Memory side_by_side(const std::vector<Memory>& parts);

Memory empty_memory(int64_t layers, int64_t B, int64_t H, DType type = DType::f32);

}  // namespace adaspan
