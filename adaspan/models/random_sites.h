// SPDX-License-Identifier: MIT
// Which stream of random numbers belongs to which parameter and to which place of dropout. A stream
// is named by its layer and its role there (RandomKey::site), both of which are fixed: whatever is
// added to a model has streams of its own and leaves all others as they are.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

namespace adaspan {

/// What a stream is for within a layer, or within the model itself. The numbers are part of the
/// checkpoint format's promise that a seed names a run: never change or reuse one.
enum class RandomRole : uint32_t {
  // Of the model itself. Each kind of weight has room for the clusters of an adaptive vocabulary:
  // what is said of cluster 0 here is cluster_site(role, i) for cluster i.
  input_dropout = 0x00,
  output_dropout = 0x01,
  positions = 0x08,
  input_embedding = 0x10,
  input_projection = 0x20,
  output_weight = 0x30,
  output_projection = 0x40,
  output_bias = 0x50,
  cluster_weight = 0x60,
  cluster_bias = 0x61,

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

/// How many clusters each of those roles has room for.
inline constexpr int64_t kMostClusters = 16;

/// The site of a role of the model itself for one cluster. cluster in [0, kMostClusters)
constexpr uint32_t cluster_site(RandomRole role, size_t cluster) {
  assert(cluster < kMostClusters);
  return random_site(kModelItself, role) + static_cast<uint32_t>(cluster);
}

}  // namespace adaspan
