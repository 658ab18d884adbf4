// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, as row_kernels_level.cpp, whose rule holds here.
#include "adaspan/ops/kernels/decode_kernels.h"

#include "adaspan/ops/kernels/level_vectors.h"

namespace adaspan::ADASPAN_LEVEL {
namespace {

/// The processor foresees one stream of reading, not several side by side: it is told of what comes
/// after them, once for each cache line of a stream that is at its number i.
template <class T>
inline void fetch_ahead(const T* next, int64_t i) {
  constexpr int64_t kLine = 64 / sizeof(T);
  if (i % kLine == 0) __builtin_prefetch(next, /*write=*/0, /*keep, into the second cache=*/2);
}

/// The sums of 2 k vectors or fewer side by side: lane i is folded(v[i]), to the bit.
template <int64_t k, size_t n>
inline Vec all_folded(const Vec (&v)[n]) {
  if constexpr (k == 0) {
    return v[0];
  } else if constexpr (n <= k) {
    Vec half[n];
#pragma GCC unroll 16
    for (size_t i = 0; i < n; ++i) half[i] = v[i] + exchanged<k>(v[i]);
    return all_folded<k / 2>(half);
  } else {
    Vec both[n / 2];  // of v[i] where a lane's number has no bit k, else of its partner
#pragma GCC unroll 16
    for (size_t i = 0; i < n / 2; ++i) {
      const Vec a = v[i], b = v[i + n / 2];
      both[i] =
          shuffled(a, b, [](int64_t lane) { return (lane & k) == 0 ? lane : lane + kVector; }) +
          shuffled(a, b, [](int64_t lane) {
            return (lane & k) == 0 ? (lane ^ k) : (lane ^ k) + kVector;
          });
    }
    return all_folded<k / 2>(both);
  }
}

/// R rows by X texts. Each sum has one vector of parts; there are enough of them side by side that
/// none waits for its own last addition.
template <int R, int X, class T>
inline void product_block(float* y, int64_t y_stride, const T* w, int64_t n_in, const float* x,
                          int64_t x_stride) {
  constexpr int kAll = R * X, kSome = kAll < kVector ? kAll : kVector;
  Vec sums[kAll] = {};  // those of a text one behind the other
  const auto add = [&](int64_t i, auto at) {
    Vec texts[X];
#pragma GCC unroll 4
    for (int n = 0; n < X; ++n) texts[n] = at.load(x + n * x_stride + i);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      fetch_ahead(w + (R + r) * n_in + i, i);
      const Vec row = at.load(w + r * n_in + i);
#pragma GCC unroll 4
      for (int n = 0; n < X; ++n) sums[n * R + r] += row * texts[n];
    }
  };
  int64_t i = 0;
  for (; i + kVector <= n_in; i += kVector) add(i, Whole());
  if (i < n_in) add(i, First{n_in - i});
  for (int first = 0; first < kAll; first += kSome) {
    Vec some[kSome];
#pragma GCC unroll 16
    for (int k = 0; k < kSome; ++k) some[k] = sums[first + k];
    float row_sums[kVector];
    Whole().store(row_sums, all_folded<kVector / 2>(some));
    for (int k = 0; k < kSome; ++k) {
      y[(first + k) / R * y_stride + (first + k) % R] = row_sums[k];
    }
  }
}

/// For each text the same sums in the same order, whatever X.
template <int X, class T>
void products_of(float* y, int64_t y_stride, const T* w, int64_t rows, int64_t n_in, const float* x,
                 int64_t x_stride) {
  constexpr int kMost = kVector > 8 ? 16 : 8;  // sums that stay in registers
  constexpr int R = kMost / X < 8 ? kMost / X : 8;
  int64_t r = 0;
  for (; r + R <= rows; r += R) {
    product_block<R, X>(y + r, y_stride, w + r * n_in, n_in, x, x_stride);
  }
  for (; r < rows; ++r) product_block<1, X>(y + r, y_stride, w + r * n_in, n_in, x, x_stride);
}

template <class T>
void products(float* y, int64_t y_stride, const T* w, int64_t rows, int64_t n_in, const float* x,
              int64_t x_stride, int64_t N) {
  constexpr int64_t kRows = 32;  // that stay in the nearest cache for all texts
  for (int64_t r = 0; r < rows; r += kRows) {
    const int64_t some = rows - r < kRows ? rows - r : kRows;
    const T* const from = w + r * n_in;
    int64_t n = 0;
    for (; n + 4 <= N; n += 4) {
      products_of<4>(y + n * y_stride + r, y_stride, from, some, n_in, x + n * x_stride, x_stride);
    }
    for (; n + 2 <= N; n += 2) {
      products_of<2>(y + n * y_stride + r, y_stride, from, some, n_in, x + n * x_stride, x_stride);
    }
    if (n < N) {
      products_of<1>(y + n * y_stride + r, y_stride, from, some, n_in, x + n * x_stride, x_stride);
    }
  }
}

constexpr int64_t kVectorsOfTile = kTile / kVector;

/// So many tiles side by side.
template <int kTiles, class T>
inline void score_block(float* s, const float* q, const T* tiles, int64_t D) {
  constexpr int kSumsOfBlock = kTiles * kVectorsOfTile;
  Vec sums[kSumsOfBlock] = {};
  const Whole at;
  for (int64_t d = 0; d < D; ++d) {
    const Vec left = all(q[d]);
#pragma GCC unroll 16
    for (int64_t v = 0; v < kSumsOfBlock; ++v) {
      const int64_t tile = v / kVectorsOfTile, lane = v % kVectorsOfTile * kVector;
      sums[v] += left * at.load(tiles + (tile * D + d) * kTile + lane);
    }
  }
#pragma GCC unroll 16
  for (int64_t v = 0; v < kSumsOfBlock; ++v) at.store(s + v * kVector, sums[v]);
}

template <class T>
void scores(float* s, const float* q, const T* tiles, int64_t count, int64_t D) {
  constexpr int kTiles = kVectorsOfTile == 4 ? 2 : kVectorsOfTile == 2 ? 4 : 8;
  int64_t i = 0;
  for (; i + kTiles <= count; i += kTiles) {
    score_block<kTiles>(s + i * kTile, q, tiles + i * D * kTile, D);
  }
  for (; i < count; ++i) score_block<1>(s + i * kTile, q, tiles + i * D * kTile, D);
}

float exponentials(float* s, const float* mask, float top, int64_t n) {
  Vec sums[kSums] = {};
  by_vectors(n, [&](int64_t i, int64_t k, auto at) {
    Vec e = exponential(at.load(s + i) - top);
    if (mask != nullptr) {
      const Vec m = at.load(mask + i);
      e = m < kLeastMask ? Vec{} : m * e;
    }
    e = at.only(e, 0);
    at.store(s + i, e);
    sums[k] += e;
  });
  return total(sums);
}

float top_of(const float* s, const float* mask, int64_t n) {
  const float lowest = -__builtin_inff();
  return largest_of(n, lowest, [&](int64_t i, auto at) {
    const Vec score = at.load(s + i);
    return mask == nullptr ? score : at.load(mask + i) < kLeastMask ? all(lowest) : score;
  });
}

template <class T>
void mix(float* o, const float* a, const T* v, int64_t rows, int64_t D) {
  constexpr int64_t kSide = 4;  // vectors of columns whose sums stay in registers
  int64_t c = 0;
  const Whole at;
  for (; c + kSide * kVector <= D; c += kSide * kVector) {
    Vec sums[2][kSide] = {};  // of even rows, of odd ones
    int64_t j = 0;
    for (; j + 2 <= rows; j += 2) {
      const Vec even = all(a[j]), odd = all(a[j + 1]);
#pragma GCC unroll 4
      for (int64_t k = 0; k < kSide; ++k) {
        sums[0][k] += even * at.load(v + j * D + c + k * kVector);
        sums[1][k] += odd * at.load(v + (j + 1) * D + c + k * kVector);
      }
    }
    if (j < rows) {
      for (int64_t k = 0; k < kSide; ++k) {
        sums[0][k] += all(a[j]) * at.load(v + j * D + c + k * kVector);
      }
    }
    for (int64_t k = 0; k < kSide; ++k) {
      float* const to = o + c + k * kVector;
      at.store(to, at.load(to) + (sums[0][k] + sums[1][k]));
    }
  }
  const auto column = [&](int64_t from, auto some) {
    Vec sum = {};
    for (int64_t j = 0; j < rows; ++j) sum += all(a[j]) * some.load(v + j * D + from);
    some.store(o + from, some.load(o + from) + sum);
  };
  for (; c + kVector <= D; c += kVector) column(c, Whole());
  if (c < D) column(c, First{D - c});
}

}  // namespace

template <class T>
const DecodeKernels<T>& decode_kernels_of_level() {
  static constexpr DecodeKernels<T> kernels = {
      .level = ADASPAN_LEVEL_NAME,
      .products = products<T>,
      .scores = scores<T>,
      .exponentials = exponentials,
      .top = top_of,
      .mix = mix<T>,
  };
  return kernels;
}

template const DecodeKernels<float>& decode_kernels_of_level();
template const DecodeKernels<bf16>& decode_kernels_of_level();

}  // namespace adaspan::ADASPAN_LEVEL
