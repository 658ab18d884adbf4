// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, in a namespace of its name (ADASPAN_LEVEL). Nothing here
// may call an inline function or template of another header that is not of this file's own types:
// the linker keeps one copy of those for the whole program. Hence no <algorithm>, <cmath>.
#include "ops/kernels/band_products.h"
#include "ops/kernels/level_math.h"
#include "ops/kernels/span_kernels.h"

namespace adaspan::ADASPAN_LEVEL {
namespace {

/// The definition, in plain C++; also what other levels are tested against.
template <class T>
struct PlainUnit {
  static constexpr int64_t kRows = 4, kColumns = 64, kGroups = 1;

  static void start() {}

  static float value(float x) { return x; }
  static float value(bf16 x) { return widened(x.bits); }

  static void block(float* c, int64_t c_stride, LeftOperand<T> a, const T* b, int64_t b_stride,
                    int64_t columns, int64_t groups, bool add) {
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
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
#if defined(__AVX512F__)
constexpr int64_t kWidth = 16, kVectors = 4;
#else
constexpr int64_t kWidth = 8, kVectors = 2;
#endif

typedef float Vector __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

/// 4 rows of up to kVectors vectors: their sums stay in registers.
struct VectorUnit {
  static constexpr int64_t kRows = 4, kColumns = kWidth * kVectors, kGroups = 1;

  static void start() {}

  template <int V>
  static void vectors(float* c, int64_t c_stride, LeftOperand<float> a, const float* b,
                      int64_t b_stride, int64_t groups, bool add) {
    Vector sum[kRows][V];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sum[i][v] =
            add ? *reinterpret_cast<const Vector*>(c + i * c_stride + v * kWidth) : Vector{};
      }
    }
    for (int64_t g = 0; g < groups; ++g) {
      Vector right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        right[v] = *reinterpret_cast<const Vector*>(b + g * b_stride + v * kWidth);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        const float left = a.data[i * a.row + g * a.step];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[i][v] += left * right[v];
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        *reinterpret_cast<Vector*>(c + i * c_stride + v * kWidth) = sum[i][v];
      }
    }
  }

  static void block(float* c, int64_t c_stride, LeftOperand<float> a, const float* b,
                    int64_t b_stride, int64_t columns, int64_t groups, bool add) {
    switch ((columns + kWidth - 1) / kWidth) {
      case 1:
        return vectors<1>(c, c_stride, a, b, b_stride, groups, add);
      case 2:
        return vectors<2>(c, c_stride, a, b, b_stride, groups, add);
#if defined(__AVX512F__)
      case 3:
        return vectors<3>(c, c_stride, a, b, b_stride, groups, add);
      default:
        return vectors<4>(c, c_stride, a, b, b_stride, groups, add);
#endif
    }
  }
};
using FloatUnit = VectorUnit;
#else
using FloatUnit = PlainUnit<float>;
#endif

/// The columns of a row, and its mask.
struct Mask {
  explicit Mask(const SoftmaxRow& row)
      : columns(static_cast<int32_t>((row.E + 15) / 16 * 16)),
        first(static_cast<int32_t>(row.first)),
        end(static_cast<int32_t>(row.E)),
        reach(row.ramp + row.z),
        ramp(row.ramp),
        per_ramp(1 / row.ramp) {}

  bool seen(int32_t j) const { return (j >= first) & (j < end); }
  /// 1 or 0. To multiply by it, not to choose by seen(): a compiler makes a jump of a choice
  /// between something costly and nothing, and then no vector code.
  float one_if_seen(int32_t j) const { return seen(j) ? 1.0f : 0.0f; }
  /// What is left of the ramp at column j: R + z - u. The mask is this over R, within [0,1].
  float left(int32_t j) const { return reach - static_cast<float>(end - 1 - j); }
  float at(int32_t j) const {
    const float x = left(j) > 0 ? left(j) : 0;
    return (x < ramp ? x : ramp) * per_ramp;
  }

  const int32_t columns, first, end;
  const float reach, ramp, per_ramp;
};

void multiply(float* x, const float* y, int32_t n) {
#pragma omp simd
  for (int32_t j = 0; j < n; ++j) x[j] *= y[j];
}

SoftmaxScale softmax(float* x, const SoftmaxRow& row) {
  constexpr float kLowest = -3.4e38f;
  const Mask mask(row);
  const float factor = row.factor;
  float top = kLowest;
#pragma omp simd reduction(max : top)
  for (int32_t j = 0; j < mask.columns; ++j) {
    // Only what the mask lets through sets the scale; a larger score behind it must not.
    const float score = mask.seen(j) & (mask.left(j) > 0) ? factor * x[j] : kLowest;
    top = top > score ? top : score;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int32_t j = 0; j < mask.columns; ++j) {
    const float e = exponential(factor * x[j] - top);
    const float a = mask.one_if_seen(j) * mask.at(j) * e;
    x[j] = a;
    sum += a;
  }
  if (row.keep != nullptr) multiply(x, row.keep, mask.columns);
  return {top, sum > 0 ? 1 / sum : 0};
}

float softmax_backward(float* x, float* g, const SoftmaxRow& row, SoftmaxScale scale) {
  // With e = e^(factor x) / sum, a = m e, g' = keep g and c = sum(a g'):
  //   dx = factor a (g' - c)      dz = 1/R sum over the closed ramp of e (g' - c)
  const Mask mask(row);
  const float factor = row.factor;
  if (row.keep != nullptr) multiply(g, row.keep, mask.columns);
  float c = 0;
#pragma omp simd reduction(+ : c)
  for (int32_t j = 0; j < mask.columns; ++j) {
    const float e = exponential(factor * x[j] - scale.top) * (mask.one_if_seen(j) * scale.scale);
    x[j] = e;
    c += mask.at(j) * e * g[j];
  }
  float dz = 0;
#pragma omp simd reduction(+ : dz)
  for (int32_t j = 0; j < mask.columns; ++j) {
    const float left = mask.left(j), e = x[j], a = mask.at(j) * e;
    const float d = g[j] - c;
    dz += ((left >= 0) & (left <= mask.ramp) ? 1.0f : 0.0f) * e * d;
    g[j] = factor * a * d;
    x[j] = a;
  }
  if (row.keep != nullptr) multiply(x, row.keep, mask.columns);
  return dz * mask.per_ramp;
}

/// Exchanges, in a square of words, the halves, quarters ... of its rows and columns.
void transpose(uint32_t* y, int64_t y_stride, const uint32_t* x, int64_t x_stride, int64_t rows,
               int64_t words) {
#if defined(__AVX2__)
  typedef uint32_t Words __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
  typedef uint32_t Places __attribute__((vector_size(4 * kWidth)));
  for (int64_t r = 0; r < rows; r += kWidth) {
    for (int64_t w = 0; w < words; w += kWidth) {
      Places square[kWidth];
      for (int64_t i = 0; i < kWidth; ++i) {
        square[i] = *reinterpret_cast<const Words*>(x + (r + i) * x_stride + w);
      }
#pragma GCC unroll 4
      for (int64_t half = kWidth / 2; half > 0; half /= 2) {
        Places low, high;  // of two rows, every second run of `half` words, in two ways
        for (int64_t k = 0; k < kWidth; ++k) {
          const bool second = (k & half) != 0;
          low[k] = static_cast<uint32_t>(second ? k - half + kWidth : k);
          high[k] = static_cast<uint32_t>(second ? k + kWidth : k + half);
        }
#pragma GCC unroll 16
        for (int64_t i = 0; i < kWidth; ++i) {
          if ((i & half) != 0) continue;
          const Places upper = square[i], lower = square[i + half];
          square[i] = __builtin_shuffle(upper, lower, low);
          square[i + half] = __builtin_shuffle(upper, lower, high);
        }
      }
      for (int64_t i = 0; i < kWidth; ++i) {
        *reinterpret_cast<Words*>(y + (w + i) * y_stride + r) = square[i];
      }
    }
  }
#else
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t w = 0; w < words; ++w) y[w * y_stride + r] = x[r * x_stride + w];
  }
#endif
}

void to_bf16(bf16* y, const float* x, float factor, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) y[j].bits = rounded(factor * x[j]);
}

void to_f32(float* y, const float* x, float factor, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) y[j] = factor * x[j];
}

void to_pairs(bf16* y, const float* x0, const float* x1, int64_t n) {
  auto* pairs = reinterpret_cast<uint32_t*>(y);
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    pairs[j] = static_cast<uint32_t>(rounded(x1[j])) << 16 | rounded(x0[j]);
  }
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
  static constexpr auto kernels = BandProducts<FloatUnit, float>::table(ADASPAN_LEVEL_NAME);
  return kernels;
}

const SpanKernels<bf16>& span_kernels_bf16() {
  static constexpr auto kernels = BandProducts<PlainUnit<bf16>, bf16>::table("plain");
  return kernels;
}

const SpanRowKernels& span_row_kernels() {
  static constexpr SpanRowKernels kernels = {.level = ADASPAN_LEVEL_NAME,
                                             .softmax = softmax,
                                             .softmax_backward = softmax_backward,
                                             .transpose = transpose,
                                             .to_bf16 = to_bf16,
                                             .to_f32 = to_f32,
                                             .to_pairs = to_pairs,
                                             .interleave = interleave};
  return kernels;
}

}  // namespace adaspan::ADASPAN_LEVEL
