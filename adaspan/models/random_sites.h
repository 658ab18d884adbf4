// SPDX-License-Identifier: MIT
// Which stream of random numbers belongs to which parameter and to which place of dropout. A stream
// is named by its layer and its role there (RandomKey::site), both of which are fixed: whatever is
// added to a model has streams of its own and leaves all others as they are.
#pragma once

#include <cassert>
#include <cstdint>

namespace adaspan {

/// What a stream is for within a layer, or within the model itself. The numbers are part of the
/// checkpoint format's promise that a seed names a run: never change or reuse one.
enum class RandomRole : uint32_t {
  // Of the model itself. Each kind of weight has room for 16 clusters of an adaptive vocabulary.
  input_dropout = 0x00,
  output_dropout = 0x01,
  positions = 0x08,
  input_embedding = 0x10,  // 0x20: projections of its clusters
  output_weight = 0x30,    // 0x40: projections of its clusters
  output_bias = 0x50,

  // Of a layer.
  attention_dropout = 0x80,
  inner_dropout = 0x81,
  span_ratio = 0x90,
  span_weight = 0x91,
  span_bias = 0x92,
  query = 0xa0,
  key = 0xa1,
  value = 0xa2,
  attention_out = 0xa3,
  persistent_keys = 0xa8,
  persistent_values = 0xa9,
  norm1_gain = 0xb0,
  norm1_bias = 0xb1,
  norm2_gain = 0xb2,
  norm2_bias = 0xb3,
  inner_weight = 0xc0,
  inner_bias = 0xc1,
  outer_weight = 0xc2,
  outer_bias = 0xc3,
};

/// Which numbering of streams this is, for the record of a run; 1 counted parameters and places.
inline constexpr int kRandomNumbering = 2;

/// In place of a layer's number: the model itself.
inline constexpr int64_t kModelItself = 0xffff;

/// RandomKey::site of a role in a layer, or in the model itself. layer in [0, kModelItself]
constexpr uint32_t random_site(int64_t layer, RandomRole role) {
  assert(layer >= 0 && layer <= kModelItself);
  return static_cast<uint32_t>(layer) * 256 + static_cast<uint32_t>(role);
}

}  // namespace adaspan
