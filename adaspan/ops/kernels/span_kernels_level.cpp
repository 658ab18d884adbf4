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
struct FloatLanes {
  static constexpr int64_t kWidth = kVector;
  using Sum = Vec;
  using Left = float;
  using Right = Vec;

  static Sum zero() { return Vec{}; }
  static Sum load(const float* x) { return Whole().load(x); }
  static void store(float* y, Sum x) { Whole().store(y, x); }
  static Left left(const float* x) { return *x; }
  static Right right(const float* x) { return load(x); }
  static Sum multiply_add(Sum sum, Left left, Right right) { return sum + left * right; }
};
#if defined(__AVX512F__)
using FloatUnit = VectorUnit<FloatLanes, float, 4>;
#else
using FloatUnit = VectorUnit<FloatLanes, float, 3>;  // 4 x 3 sums, 3 right, 1 left: 16 registers
#endif
#else
using FloatUnit = PlainUnit<float>;
#endif

/// e^x to 2 units in the last place on [-87, 80], clamped outside, as exponential(Vec) but with the
/// polynomial of degree 6 that starts 1 + r and has the smallest largest error, 4e-9 of e^r. For
/// loops that the compiler turns into vector code: it makes better use of masks here than of
/// vectors written out.
inline float exponential(float x) {
  constexpr float kLog2e = 1.44269504088896341f;
  x = x < -87.0f ? -87.0f : x;
  x = x > 80.0f ? 80.0f : x;
  constexpr float kRound = 12582912.0f;
  const float shifted = x * kLog2e + kRound, k = shifted - kRound;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 0.00138145399f;
  p = p * r + 0.00836874528f;
  p = p * r + 0.0416683908f;
  p = p * r + 0.166665204f;
  p = p * r + 0.499999934f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // k from the low bits of `shifted`: to convert it to an integer is undefined for NaN
  return p * __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) + 127) << 23);
}

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

void multiply(float* x, const float* y, int64_t n) {
  by_vectors(
      n, [=](int64_t j, int64_t, auto at) { at.store(x + j, at.load(x + j) * at.load(y + j)); });
}

/// Makes scores of x and returns what is still to be multiplied with. A multiply-add takes `top`,
/// which is rounded, from a product that is not. What lies between is far below 1 for scores up to
/// 2^20, but may be more than e^x can hold for larger ones: these are rounded first.
float unscored_factor(float* x, float factor, float top, int32_t columns) {
  if (top > -0x1p20f && top < 0x1p20f) return factor;
#pragma omp simd
  for (int32_t j = 0; j < columns; ++j) x[j] *= factor;
  return 1;
}

SoftmaxScale softmax(float* x, const SoftmaxRow& row) {
  constexpr float kLowest = -3.40282347e38f;
  const int32_t columns = whole_vectors(row.E);
  const float* const mask = row.mask;
  float factor = row.factor, top = kLowest, sum = 0;
  // Only what the mask lets through sets the scale; a larger score behind it must not.
#pragma omp simd reduction(max : top)
  for (int32_t j = 0; j < columns; ++j) {
    const float score = mask[j] >= kLeastMask ? factor * x[j] : kLowest;
    top = top > score ? top : score;
  }
  factor = unscored_factor(x, factor, top, columns);
#pragma omp simd reduction(+ : sum)
  for (int32_t j = 0; j < columns; ++j) {
    const float e = exponential(factor * x[j] - top);
    x[j] = mask[j] * (mask[j] < kLeastMask ? 0 : e);  // behind the mask a score may be no number
    sum += x[j];
  }
  if (row.keep != nullptr) multiply(x, row.keep, columns);
  return {top, sum > 0 ? 1 / sum : 0};
}

float softmax_backward(float* x, float* g, const SoftmaxRow& row, SoftmaxScale scale) {
  // With e = e^(factor x) / sum, a = m e, g' = keep g and c = sum(a g'):
  //   dx = factor a (g' - c)      dz = sum of dm/dz e (g' - c)
  const int32_t columns = whole_vectors(row.E);
  const float *const mask = row.mask, *const slope = row.slope;
  const float rest = unscored_factor(x, row.factor, scale.top, columns), factor = row.factor;
  if (row.keep != nullptr) multiply(g, row.keep, columns);
  float c = 0, dz = 0;
#pragma omp simd reduction(+ : c)
  for (int32_t j = 0; j < columns; ++j) {
    const float e = exponential(rest * x[j] - scale.top) * scale.scale;
    const float share = e > kMostShare ? kMostShare : e;
    x[j] = mask[j] + slope[j] < kLeastMask ? 0 : share;  // as in softmax
    c += mask[j] * x[j] * g[j];
  }
#pragma omp simd reduction(+ : dz)
  for (int32_t j = 0; j < columns; ++j) {
    const float e = x[j], a = mask[j] * e, d = g[j] - c;
    dz += slope[j] * e * d;
    g[j] = factor * a * d;
    x[j] = a;
  }
  if (row.keep != nullptr) multiply(x, row.keep, columns);
  return dz;
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

void to_bf16(bf16* y, const float* x, float factor, int64_t n) {
  by_vectors(n, [=](int64_t j, int64_t, auto at) { at.store(y + j, factor * at.load(x + j)); });
}

void to_f32(float* y, const float* x, float factor, int64_t n) {
  by_vectors(n, [=](int64_t j, int64_t, auto at) { at.store(y + j, factor * at.load(x + j)); });
}

void to_pairs(bf16* y, const float* x0, const float* x1, int64_t n) {
  auto* pairs = reinterpret_cast<float*>(y);
  by_vectors(n, [=](int64_t j, int64_t, auto at) {
    const Bits low = longer(rounded(at.load(x0 + j)));
    const Bits high = longer(rounded(at.load(x1 + j)));
    at.store(pairs + j, reinterpret_cast<Vec>(high << 16 | low));
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
  static constexpr auto kernels = BandProducts<FloatUnit, float>::table();
  return kernels;
}

#if !defined(__AVX2__)  // for bf16 there are these, and kernels for hardware that has it
const SpanKernels<bf16>& span_kernels_bf16() {
  static constexpr auto kernels = BandProducts<PlainUnit<bf16>, bf16>::table();
  return kernels;
}
#endif

const SpanRowKernels& span_row_kernels() {
  static constexpr SpanRowKernels kernels = {.span_mask = span_mask,
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
