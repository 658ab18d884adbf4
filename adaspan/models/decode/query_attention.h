// SPDX-License-Identifier: MIT
// Attention of one query at a time, over keys and values that were kept:
//
//   o = sum_r w_r v_r / sum_r w_r,  w_r = m(t-r) exp((q.k_r + q.p_{t-r}) / sqrt(D)),
//
// over the steps r that the head reaches, and its persistent vectors, whose w is exp(q.k /
// sqrt(D)). Parts of the keys are worked on at the same time and put together after, each part's
// exp less its own largest score, as in (Milakov and Gimelshein 2018).
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/core/tensor.h>
#include <adaspan/models/decode/key_tiles.h>

namespace adaspan {

inline constexpr int64_t kKeysOfPart = 256;  ///< a multiple of kTile

/// Of part of the keys: the largest score, and sum of w / exp(it). The sums of w v, divided alike,
/// are kept beside it.
struct PartOfAttention {
  float top, sum;
};

/// The position vectors p [D,S], column j for distance S-j, as tiles.
template <class T>
class PositionTiles {
 public:
  explicit PositionTiles(const Tensor& p);
  /// s[i] += q . p_j, j = first + i, for i < n <= kKeysOfPart
  void add_scores(float* s, const float* q, int64_t first, int64_t n) const;
  int64_t span_limit() const { return S_; }

 private:
  int64_t D_, S_;
  KeyTiles<T> tiles_;
};

/// The newest keys and values of one head of one text, as many as it reaches: a ring. Those of
/// steps before the text's first are zeros, as the memory's are.
template <class T>
class KeyRing {
 public:
  KeyRing(int64_t reach, int64_t D);

  /// Adds the key and value of step t, the one after the last that was added.
  void add(int64_t t, const float* key, const float* value);

  int64_t parts() const { return (keys_.size() - 1) / kKeysOfPart + 1; }
  /// What part `part` adds for the query q (which is divided by sqrt(D)) of step t, whose span is
  /// z: writes o [D]. `visible`: steps before t that it may see, at most the reach. A mask that is
  /// 1 for all has no ramp (0).
  PartOfAttention attend(int64_t part, float* o, const float* q, int64_t t, int64_t visible,
                         float z, int64_t ramp, const PositionTiles<T>& positions) const;

 private:
  int64_t D_;
  KeyTiles<T> keys_;
  Tensor values_;  // [size,D]
};

/// Persistent keys sqrt(D) n [D,P] and values sqrt(P) u [P,D] of one head.
template <class T>
class PersistentKeys {
 public:
  PersistentKeys(const float* n, const float* u, int64_t D, int64_t P);
  int64_t parts() const { return (P_ - 1) / kKeysOfPart + 1; }
  PartOfAttention attend(int64_t part, float* o, const float* q) const;

 private:
  int64_t D_, P_;
  KeyTiles<T> keys_;
  Tensor values_;  // [P,D]
};

/// o [D] from the parts and their sums of values [count,D]; zeros where there was nothing to see.
void put_together(float* o, const PartOfAttention* parts, const float* sums, int64_t count,
                  int64_t D);

}  // namespace adaspan
