// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, in a namespace of its name (ADASPAN_LEVEL). Nothing here
// may call an inline function or template of another header that is not of this file's own types:
// the linker keeps one copy of those for the whole program. Hence no <algorithm>, <cmath>.
#include "adaspan/ops/kernels/span_kernels.h"

#include "adaspan/ops/kernels/level_vectors.h"
#include "adaspan/ops/kernels/vector_unit.h"

namespace adaspan::ADASPAN_LEVEL {
namespace {

/// The definition, in plain C++.
template <class T>
struct PlainUnit {
  static constexpr int64_t kRows = 4, kWidth = 16, kGroups = 1;
  static constexpr int kVectors = 1;
  static constexpr bool kHalves = false;

  static void start() {}

  static float value(float x) { return x; }
  static float value(bf16 x) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
  }

  template <int V>
  static void block(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                    int64_t groups, bool add) {
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < kWidth; ++j) {
        float sum = add ? c[i * c_stride + j] : 0;
        for (int64_t g = 0; g < groups; ++g) {
          for (int64_t n = 0; n < kGroup<T>; ++n) {
            sum += value(a.data[i * a.row + g * a.step + n]) *
                   value(b[(g * b_stride + j) * kGroup<T> + n]);
          }
        }
        c[i * c_stride + j] = sum;
      }
    }
  }
};

#if defined(__AVX2__)
template <class Vector>
struct FloatVectors {
  static constexpr int64_t kWidth = sizeof(Vector) / sizeof(float);
  using Sum = Vector;
  using Left = float;
  using Right = Vector;

  static Sum zero() { return Vector{}; }
  static Sum load(const float* x) {
    Vector v;
    __builtin_memcpy(&v, x, sizeof v);
    return v;
  }
  static void store(float* y, Sum x) { __builtin_memcpy(y, &x, sizeof x); }
  static Left left(const float* x) { return *x; }
  static Right right(const float* x) { return load(x); }
  static Sum multiply_add(Sum sum, Left left, Right right) { return sum + left * right; }
};
#if defined(__AVX512F__)
struct FloatLanes : FloatVectors<Vec> {
  typedef float HalfVec __attribute__((vector_size(2 * kVector)));
  using Half = FloatVectors<HalfVec>;
};
using FloatUnit = VectorUnit<FloatLanes, float, 4>;
#else
struct FloatLanes : FloatVectors<Vec> {
  using Half = FloatLanes;
};
using FloatUnit = VectorUnit<FloatLanes, float, 3>;  // 4 x 3 sums, 3 right, 1 left: 16 registers
#endif
#else
using FloatUnit = PlainUnit<float>;
#endif

int32_t whole_vectors(int64_t n) {
  return static_cast<int32_t>((n + kVector - 1) / kVector * kVector);
}

void span_mask(float* mask, float* slope, const MaskedRow& row) {
  const auto first = static_cast<int32_t>(row.first), end = static_cast<int32_t>(row.E);
  const float reach = row.ramp + row.z, ramp = row.ramp, per_ramp = 1 / row.ramp;
#pragma omp simd
  for (int32_t j = 0; j < whole_vectors(row.E); ++j) {
    const float left = reach - static_cast<float>(end - 1 - j);  // R + z - u
    const float seen = ((j >= first) & (j < end)) ? per_ramp : 0;
    const float below_top = left > ramp ? ramp : left;  // NaN stays NaN
    mask[j] = seen * (below_top < 0 ? 0 : below_top);
    slope[j] = seen * (((left >= 0) & (left <= ramp)) ? 1.0f : 0.0f);
  }
}

/// Calls body(first, n) for the columns with a mask and for those without, in whole vectors.
template <class Body>
void by_segments(const SoftmaxRows& rows, const Body& body) {
  body(0, whole_vectors(rows.E));
  if (rows.P > 0) body(rows.persistent, whole_vectors(rows.P));
}

/// Makes scores of x and returns what is still to be multiplied with. A multiply-add takes `top`,
/// which is rounded, from a product that is not. What lies between is far below 1 for scores up to
/// 2^20, but may be more than e^x can hold for larger ones: these are rounded first.
float unscored_factor(float* x, float top, const SoftmaxRows& rows) {
  if (top > -0x1p20f && top < 0x1p20f) return rows.factor;
  const float factor = rows.factor;
  by_segments(rows, [=](int64_t first, int64_t n) {
    by_vectors(n, [=](int64_t i, int64_t, auto at) {
      at.store(x + first + i, factor * at.load(x + first + i));
    });
  });
  return 1;
}

// As many as there are registers for.
constexpr int kTogether = kVector > 8 ? 4 : 2;
static_assert(kRowsTogether % kTogether == 0);

template <int n>
struct Together {};

/// Calls body(i, Together<R>()) for rows i .. i+R-1, until all have been.
template <class Body>
void by_rows(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kTogether <= count; i += kTogether) body(i, Together<kTogether>());
  for (; i < count; ++i) body(i, Together<1>());
}

/// Reads a row's columns at their vectors. Part: Whole or First (level_vectors.h); where there is
/// no mask, m is 1 and its slope 0, and neither is read.
template <bool masked, class Part>
struct Columns : Part {
  static constexpr bool kMasked = masked;
};

/// Calls body(j, at) for each vector of columns j .. j+kVector-1 of the rows.
template <class Body>
inline void by_columns(const SoftmaxRows& rows, const Body& body) {
  for (int64_t j = 0; j < rows.E; j += kVector) body(j, Columns<true, Whole>{});
  int64_t j = 0;
  for (; j + kVector <= rows.P; j += kVector) body(rows.persistent + j, Columns<false, Whole>{});
  if (j < rows.P) body(rows.persistent + j, Columns<false, First>{{rows.P - j}});
}

template <bool drops>
void softmax(SoftmaxScale* scales, float* first, const SoftmaxRows& rows) {
  by_rows(rows.count, [&]<int R>(int64_t begin, Together<R>) {
    constexpr float kLowest = -3.40282347e38f;
    float* x[R];
    const float *mask[R], *keep[R];
    Vec tops[R], sums[R];
    float factor[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      x[r] = first + (begin + r) * rows.stride;
      mask[r] = rows.row[begin + r].mask;
      keep[r] = rows.row[begin + r].keep;
      tops[r] = all(kLowest);
      sums[r] = Vec{};
    }
    // Only what the mask lets through sets the scale; a larger score behind it must not.
    by_columns(rows, [&](int64_t j, auto at) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        Vec score = at.only(rows.factor * at.load(x[r] + j), kLowest);
        if constexpr (at.kMasked) {
          score = at.load(mask[r] + j) >= kLeastMask ? score : all(kLowest);
        }
        tops[r] = larger(score, tops[r]);
      }
    });
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      scales[begin + r].top = folded(tops[r], larger);
      tops[r] = all(scales[begin + r].top);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) factor[r] = unscored_factor(x[r], scales[begin + r].top, rows);
    by_columns(rows, [&](int64_t j, auto at) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        Vec a = at.only(exponential(factor[r] * at.load(x[r] + j) - tops[r]), 0);
        if constexpr (at.kMasked) {
          const Vec m = at.load(mask[r] + j);
          a = m < kLeastMask ? Vec{} : m * a;  // behind the mask a score may be no number
        }
        sums[r] += a;
        if constexpr (drops) a *= at.load(keep[r] + j);
        at.store(x[r] + j, a);
      }
    });
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const float sum = folded(sums[r], [](Vec a, Vec b) { return a + b; });
      scales[begin + r].scale = sum > 0 ? 1 / sum : 0;
    }
  });
}

template <bool drops>
void softmax_backward(float* dz, float* first, float* first_g, const SoftmaxRows& rows,
                      const SoftmaxScale* scales) {
  // With e = e^(factor x) / sum, a = m e, g' = keep g and c = sum(a g'):
  //   dx = factor a (g' - c)      dz = sum of dm/dz e (g' - c)
  by_rows(rows.count, [&]<int R>(int64_t begin, Together<R>) {
    float *x[R], *g[R];
    const float *mask[R], *slope[R], *keep[R];
    Vec sums[R], c[R];
    float factor[R], top[R], scale[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const SoftmaxRow& row = rows.row[begin + r];
      x[r] = first + (begin + r) * rows.stride;
      g[r] = first_g + (begin + r) * rows.stride;
      mask[r] = row.mask;
      slope[r] = row.slope;
      keep[r] = row.keep;
      sums[r] = Vec{};
      top[r] = scales[begin + r].top;
      scale[r] = scales[begin + r].scale;
      factor[r] = unscored_factor(x[r], top[r], rows);
    }
    by_columns(rows, [&](int64_t j, auto at) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        Vec e = exponential(factor[r] * at.load(x[r] + j) - top[r]) * scale[r];
        Vec dweight = at.load(g[r] + j);
        if constexpr (drops) dweight *= at.load(keep[r] + j);
        if constexpr (at.kMasked) {
          const Vec m = at.load(mask[r] + j);
          e = e > kMostShare ? all(kMostShare) : e;
          const Vec seen =
              m + at.load(slope[r] + j);  // what is not may be no number, as in softmax
          dweight = seen < kLeastMask ? Vec{} : dweight;
          e = seen < kLeastMask ? Vec{} : e;
          sums[r] += m * e * dweight;
        } else {
          sums[r] += e * dweight;
        }
        if constexpr (at.kMasked || drops) at.store(g[r] + j, dweight);
        at.store(x[r] + j, e);
      }
    });
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      c[r] = all(folded(sums[r], [](Vec a, Vec b) { return a + b; }));
      sums[r] = Vec{};
    }
    by_columns(rows, [&](int64_t j, auto at) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Vec d = at.load(g[r] + j) - c[r];
        Vec a = at.load(x[r] + j);
        if constexpr (at.kMasked) {
          sums[r] += at.load(slope[r] + j) * a * d;
          a *= at.load(mask[r] + j);
        }
        at.store(g[r] + j, rows.factor * a * d);
        if constexpr (drops) a *= at.load(keep[r] + j);
        if constexpr (at.kMasked || drops) at.store(x[r] + j, a);
      }
    });
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      dz[begin + r] = folded(sums[r], [](Vec a, Vec b) { return a + b; });
    }
  });
}

void softmax(SoftmaxScale* scales, float* x, const SoftmaxRows& rows) {
  rows.row[0].keep == nullptr ? softmax<false>(scales, x, rows) : softmax<true>(scales, x, rows);
}
void softmax_backward(float* dz, float* x, float* g, const SoftmaxRows& rows,
                      const SoftmaxScale* scales) {
  rows.row[0].keep == nullptr ? softmax_backward<false>(dz, x, g, rows, scales)
                              : softmax_backward<true>(dz, x, g, rows, scales);
}

#if defined(__AVX2__)
/// Exchanges, in each square of 2 half words, its upper right quarter and its lower left one.
template <int64_t half>
inline void exchange_runs(Bits (&square)[kVector]) {
#pragma GCC unroll 16
  for (int64_t i = 0; i < kVector; ++i) {
    if ((i & half) != 0) continue;
    const Bits upper_row = square[i], lower_row = square[i + half];
    square[i] = shuffled(upper_row, lower_row,
                         [](int64_t k) { return (k & half) != 0 ? k - half + kVector : k; });
    square[i + half] = shuffled(upper_row, lower_row,
                                [](int64_t k) { return (k & half) != 0 ? k + kVector : k + half; });
  }
}
#endif

/// Exchanges, in a square of words, the halves, quarters ... of its rows and columns.
void transpose(uint32_t* y, int64_t y_stride, const uint32_t* x, int64_t x_stride, int64_t rows,
               int64_t words) {
#if defined(__AVX2__)
  for (int64_t r = 0; r < rows; r += kVector) {
    for (int64_t w = 0; w < words; w += kVector) {
      Bits square[kVector];
      for (int64_t i = 0; i < kVector; ++i) {
        __builtin_memcpy(&square[i], x + (r + i) * x_stride + w, sizeof square[i]);
      }
      if constexpr (kVector > 8) exchange_runs<8>(square);
      exchange_runs<4>(square);
      exchange_runs<2>(square);
      exchange_runs<1>(square);
      for (int64_t i = 0; i < kVector; ++i) {
        __builtin_memcpy(y + (w + i) * y_stride + r, &square[i], sizeof square[i]);
      }
    }
  }
#else
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t w = 0; w < words; ++w) y[w * y_stride + r] = x[r * x_stride + w];
  }
#endif
}

void copy(PlacedRows<std::byte> y, PlacedRows<const std::byte> x, int64_t rows, int64_t n) {
  constexpr int64_t kLine = 64;
  for (int64_t r = 0; r < rows; ++r) {
    std::byte* to = y.data + r * y.stride;
    const std::byte* from = x.data + r * x.stride;
    int64_t j = 0;
    for (; j + kLine <= n; j += kLine) __builtin_memcpy(to + j, from + j, kLine);
    if (j < n) __builtin_memcpy(to + j, from + j, static_cast<size_t>(n - j));
  }
}

template <class T>
void scaled(PlacedRows<T> y, PlacedRows<const float> x, const float* factors, int64_t rows,
            int64_t n) {
  for (int64_t r = 0; r < rows; ++r) {
    const float factor = factors == nullptr ? 1 : factors[r];
    T* to = y.data + r * y.stride;
    const float* from = x.data + r * x.stride;
    by_vectors(n,
               [=](int64_t j, int64_t, auto at) { at.store(to + j, factor * at.load(from + j)); });
  }
}

void to_pairs(bf16* y, const float* x0, const float* x1, int64_t n) {
  auto* pairs = reinterpret_cast<float*>(y);
  by_vectors(n, [=](int64_t j, int64_t, auto at) {
    const Bits low = rounded_above(at.load(x0 + j)), high = rounded_above(at.load(x1 + j));
    at.store(pairs + j, reinterpret_cast<Vec>((high & 0xffff0000) | low >> 16));
  });
}

void interleave(bf16* y, const bf16* x0, const bf16* x1, int64_t n) {
  auto* pairs = reinterpret_cast<uint32_t*>(y);
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    pairs[j] = static_cast<uint32_t>(x1[j].bits) << 16 | x0[j].bits;
  }
}

}  // namespace

const SpanKernels<float>& span_kernels_f32() {
  return span_kernels_of<FloatUnit, float>();
}

#if !defined(__AVX2__)  // for bf16 there are these, and kernels for hardware that has it
const SpanKernels<bf16>& span_kernels_bf16() {
  return span_kernels_of<PlainUnit<bf16>, bf16>();
}
#endif

const SpanRowKernels& span_row_kernels() {
  static constexpr SpanRowKernels kernels = {.span_mask = span_mask,
                                             .softmax = softmax,
                                             .softmax_backward = softmax_backward,
                                             .transpose = transpose,
                                             .copy = copy,
                                             .to_bf16 = scaled<bf16>,
                                             .to_f32 = scaled<float>,
                                             .to_pairs = to_pairs,
                                             .interleave = interleave};
  return kernels;
}

}  // namespace adaspan::ADASPAN_LEVEL
