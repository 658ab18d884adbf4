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
    for (int i = 0; i < kRows; ++i) {
      for (int v = 0; v < V; ++v) {
        sum[i][v] =
            add ? *reinterpret_cast<const Vector*>(c + i * c_stride + v * kWidth) : Vector{};
      }
    }
    for (int64_t g = 0; g < groups; ++g) {
      Vector right[V];
      for (int v = 0; v < V; ++v) {
        right[v] = *reinterpret_cast<const Vector*>(b + g * b_stride + v * kWidth);
      }
      for (int i = 0; i < kRows; ++i) {
        const float left = a.data[i * a.row + g * a.step];
        for (int v = 0; v < V; ++v) sum[i][v] += left * right[v];
      }
    }
    for (int i = 0; i < kRows; ++i) {
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

/// How much of the ramp is left at column j: R + z - u; the mask is this over R, within [0,1].
inline float ramp_left(const SoftmaxRow& row, int64_t j) {
  return row.ramp + row.z - static_cast<float>(row.E - 1 - j);
}
inline float mask(float left, float ramp, float per_ramp) {
  left = left > 0 ? left : 0;
  return (left < ramp ? left : ramp) * per_ramp;
}

int64_t padded(int64_t n) {
  return (n + 15) / 16 * 16;
}

SoftmaxScale softmax(float* x, const SoftmaxRow& row) {
  constexpr float kLowest = -3.4e38f;
  const int64_t n = padded(row.E), E = row.E, first = row.first;
  const float per_ramp = 1 / row.ramp, factor = row.factor, R = row.ramp;
  float top = kLowest;
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < n; ++j) {
    // Only what the mask lets through sets the scale; a larger score behind it must not.
    const bool counts = (j >= first) & (j < E) & (ramp_left(row, j) > 0);
    const float score = counts ? factor * x[j] : kLowest;
    top = top > score ? top : score;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    const float m = mask(ramp_left(row, j), R, per_ramp);
    const float e = exponential(factor * x[j] - top);
    const float a = ((j >= first) & (j < E)) ? m * e : 0;
    x[j] = a;
    sum += a;
  }
  const float scale = sum > 0 ? 1 / sum : 0;
  if (row.keep == nullptr) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[j] *= scale;
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[j] *= scale * row.keep[j];
  }
  return {top, scale};
}

float softmax_backward(float* x, float* g, const SoftmaxRow& row, SoftmaxScale scale) {
  // With e = e^(factor x) / sum, a = m e, g' = keep g and c = sum(a g'):
  //   dx = factor a (g' - c)      dz = 1/R sum over the closed ramp of e (g' - c)
  const int64_t n = padded(row.E), E = row.E, first = row.first;
  const float per_ramp = 1 / row.ramp, factor = row.factor, R = row.ramp;
  float c = 0;
#pragma omp simd reduction(+ : c)
  for (int64_t j = 0; j < n; ++j) {
    const bool seen = (j >= first) & (j < E);
    const float e = exponential(factor * x[j] - scale.top) * scale.scale;
    x[j] = seen ? e : 0;
    const float keep = row.keep ? row.keep[j] : 1.0f;
    const float gradient = seen ? keep * g[j] : 0;
    g[j] = gradient;
    c += x[j] * mask(ramp_left(row, j), R, per_ramp) * gradient;
  }
  float dz = 0;
#pragma omp simd reduction(+ : dz)
  for (int64_t j = 0; j < n; ++j) {
    const float left = ramp_left(row, j), e = x[j], d = g[j] - c;
    const float a = mask(left, R, per_ramp) * e;
    dz += ((left >= 0) & (left <= R)) ? e * d : 0;
    g[j] = factor * a * d;
    x[j] = a;
  }
  if (row.keep != nullptr) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[j] *= row.keep[j];
  }
  return dz * per_ramp;
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

void to_bf16(bf16* y, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) y[j].bits = rounded(x[j]);
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
                                             .to_pairs = to_pairs,
                                             .interleave = interleave};
  return kernels;
}

}  // namespace adaspan::ADASPAN_LEVEL
