// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/query_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace adaspan {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

using Scores = std::array<float, kKeysOfPart>;

/// m of n steps, oldest first, the last of which is at distance `newest`.
void fill_mask(float* m, int64_t n, int64_t newest, float z, int64_t ramp) {
  const auto R = static_cast<float>(ramp);
  for (int64_t i = 0; i < n; ++i) {
    const auto u = static_cast<float>(newest + n - 2 - i);  // distance - 1
    m[i] = std::clamp((R + z - u) / R, 0.0f, 1.0f);
  }
}

}  // namespace

template <class T>
PositionTiles<T>::PositionTiles(const Tensor& p)
    : D_(p.shape()[0]), S_(p.shape()[1]), tiles_(S_, D_) {
  for (int64_t j = 0; j < S_; ++j) tiles_.set(j, p.data() + j, S_);
}

template <class T>
void PositionTiles<T>::add_scores(float* s, const float* q, int64_t first, int64_t n) const {
  const int64_t tile = first / kTile, tiles = (first + n - 1) / kTile - tile + 1;
  std::array<float, kKeysOfPart + kTile> whole;
  decode_kernels<T>().scores(whole.data(), q, tiles_.tile(tile), tiles, D_);
  const float* const from = whole.data() + (first - tile * kTile);
  for (int64_t i = 0; i < n; ++i) s[i] += from[i];
}

template <class T>
KeyRing<T>::KeyRing(int64_t reach, int64_t D)
    : D_(D), keys_(reach, D), values_(Tensor::zeros({keys_.size(), D}, dtype_of<T>)) {}

template <class T>
void KeyRing<T>::add(int64_t t, const float* key, const float* value) {
  const int64_t slot = t % keys_.size();
  keys_.set(slot, key);
  T* const to = values_.data<T>() + slot * D_;
  for (int64_t d = 0; d < D_; ++d) to[d] = from_float<T>(value[d]);
}

template <class T>
PartOfAttention KeyRing<T>::attend(int64_t part, float* o, const float* q, int64_t t,
                                   int64_t visible, float z, int64_t ramp,
                                   const PositionTiles<T>& positions) const {
  const DecodeKernels<T>& kernels = decode_kernels<T>();
  const int64_t size = keys_.size(), S = positions.span_limit(), at = t % size;
  const int64_t begin = part * kKeysOfPart, end = std::min(begin + kKeysOfPart, size);
  // Slots before `at` hold the newest steps, those from it on the oldest: two runs of distances.
  struct Run {
    int64_t first, last, newest;  // slots [first, last), distance of the last of them
  };
  const auto run_of = [&](int64_t from, int64_t to, int64_t end_of_run) {
    const int64_t oldest_slot = end_of_run - visible;
    from = std::max(from, oldest_slot);
    return Run{from, std::max(from, to), end_of_run - to + 1};
  };
  const std::array<Run, 2> runs = {run_of(begin, std::min(end, at), at),
                                   run_of(std::max(begin, at), end, at + size)};
  if (runs[0].first >= runs[0].last && runs[1].first >= runs[1].last) return {kNothing, 0};

  Scores s, mask;
  kernels.scores(s.data(), q, keys_.tile(begin / kTile), (end - begin) / kTile, D_);
  float top = kNothing;
  for (const auto& [first, last, newest] : runs) {
    const int64_t n = last - first, i = first - begin;
    if (n <= 0) continue;
    positions.add_scores(&s[i], q, S - newest - n + 1, n);
    if (ramp > 0) fill_mask(&mask[i], n, newest, z, ramp);
    top = std::max(top, kernels.top(&s[i], ramp > 0 ? &mask[i] : nullptr, n));
  }
  if (top == kNothing) return {kNothing, 0};
  std::fill_n(o, D_, 0.0f);
  float sum = 0;
  for (const auto& [first, last, newest] : runs) {
    const int64_t n = last - first, i = first - begin;
    if (n <= 0) continue;
    sum += kernels.exponentials(&s[i], ramp > 0 ? &mask[i] : nullptr, top, n);
    kernels.mix(o, &s[i], values_.data<T>() + first * D_, n, D_);
  }
  return {top, sum};
}

template <class T>
PersistentKeys<T>::PersistentKeys(const float* n, const float* u, int64_t D, int64_t P)
    : D_(D), P_(P), keys_(P, D), values_({P, D}, dtype_of<T>) {
  const auto of_keys = static_cast<float>(std::sqrt(static_cast<double>(D)));
  const auto of_values = static_cast<float>(std::sqrt(static_cast<double>(P)));
  std::vector<float> key(static_cast<size_t>(D));
  for (int64_t j = 0; j < P; ++j) {
    for (int64_t d = 0; d < D; ++d) key[static_cast<size_t>(d)] = of_keys * n[d * P + j];
    keys_.set(j, key.data());
  }
  for (int64_t i = 0; i < P * D; ++i) values_.data<T>()[i] = from_float<T>(of_values * u[i]);
}

template <class T>
PartOfAttention PersistentKeys<T>::attend(int64_t part, float* o, const float* q) const {
  const DecodeKernels<T>& kernels = decode_kernels<T>();
  const int64_t begin = part * kKeysOfPart, n = std::min(kKeysOfPart, P_ - begin);
  Scores s;
  kernels.scores(s.data(), q, keys_.tile(begin / kTile), (n + kTile - 1) / kTile, D_);
  const float top = kernels.top(s.data(), nullptr, n);
  const float sum = kernels.exponentials(s.data(), nullptr, top, n);
  std::fill_n(o, D_, 0.0f);
  kernels.mix(o, s.data(), values_.data<T>() + begin * D_, n, D_);
  return {top, sum};
}

void put_together(float* o, const PartOfAttention* parts, const float* sums, int64_t count,
                  int64_t D) {
  float top = kNothing;
  for (int64_t i = 0; i < count; ++i) top = std::max(top, parts[i].top);
  std::fill_n(o, D, 0.0f);
  if (top == kNothing) return;
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (parts[i].top == kNothing) continue;
    const float share = std::exp(parts[i].top - top);
    sum += share * parts[i].sum;
    for (int64_t d = 0; d < D; ++d) o[d] += share * sums[i * D + d];
  }
  for (int64_t d = 0; d < D; ++d) o[d] /= sum;
}

template class PositionTiles<float>;
template class PositionTiles<bf16>;
template class KeyRing<float>;
template class KeyRing<bf16>;
template class PersistentKeys<float>;
template class PersistentKeys<bf16>;

}  // namespace adaspan
