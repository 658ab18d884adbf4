// SPDX-License-Identifier: MIT
// The memory of a model: what each layer keeps of the blocks before, its own inputs of the newest C
// steps (Dai et al. 2019). They are values, not variables: no gradient flows into the past.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include <adaspan/ops/memory_projection.h>

namespace adaspan {

/// The newest C steps of one layer, [C,B,H]; C grows from 0 at the start of a stream. Steps before
/// that are zeros that need no storage. Nothing is copied where it can be shared: a memory is a
/// list of segments, each some steps of a past value.
class LayerMemory {
 public:
  /// No steps.
  LayerMemory(int64_t B, int64_t H, DType type = DType::f32);

  int64_t steps() const;
  /// [C,B,H]
  Shape shape() const;
  DType type() const { return segments_[0].value->type(); }
  /// Oldest first; at least one.
  const std::vector<MemorySegment>& segments() const { return segments_; }

  /// The memory for the next block: the last `length` steps of this one followed by x [M,B,H], or
  /// all of them if there are not so many. It shares the values that it is made of, but for three
  /// cases: x of another type is rounded to that of the memory; when less than three quarters of a
  /// value's steps are left, these are copied, so that the whole value need not be kept; and small
  /// neighbours are joined into one, so that there are few segments.
  LayerMemory extended(const Value& x, int64_t length) const;

 private:
  std::vector<MemorySegment> segments_;
};

/// How many steps' values a memory of `length` steps has in use, all of whose blocks were of M
/// steps: as far as an extension shares them, or copies them anew.
struct StepsInUse {
  int64_t held = 0;    ///< by the memory
  int64_t shared = 0;  ///< of these, by the newest block, whole
  int64_t copied = 0;  ///< of these, made by the newest extension
  int64_t segments = 0;
};
StepsInUse steps_in_use(int64_t length, int64_t M, int64_t B, int64_t H, DType type);

/// One per layer.
using Memory = std::vector<LayerMemory>;

/// The memory of one layer for a batch that is worked on in parts, from that of the parts in order,
/// all of equally many steps: its shape [C,B,H], and its bytes from first to last, piece by piece.
Shape side_by_side(const std::vector<LayerMemory>& parts);
void visit_bytes(const std::vector<LayerMemory>& parts,
                 const std::function<void(std::span<const std::byte>)>& visit);
/// Adds steps [C,B,H] of the whole batch to the memory of its equally large parts.
void extend_side_by_side(std::vector<LayerMemory>& parts, Tensor steps);

Memory empty_memory(int64_t layers, int64_t B, int64_t H, DType type = DType::f32);

}  // namespace adaspan
