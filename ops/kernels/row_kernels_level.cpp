// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, in a namespace of its name (ADASPAN_LEVEL). Nothing here
// may call an inline function or template of another header: the linker keeps one copy of those for
// the whole program, perhaps the one for the larger instruction set. Hence no <algorithm>, <cmath>.
#include "ops/kernels/row_kernels.h"

namespace adaspan::ADASPAN_LEVEL {
namespace {

constexpr float kLog2e = 1.44269504088896341f;

float largest(float a, float b) {
  return a > b ? a : b;
}

/// e^x to 2 units in the last place on [-87, 80], clamped outside: no branch, so that it
/// vectorises. e^x = 2^k e^r with k = round(x / ln 2), |r| <= ln(2)/2, and e^r by its Taylor
/// polynomial.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 80.0f ? 80.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const float shifted = x * kLog2e + kRound;
  const float k = shifted - kRound;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(k) + 127) << 23;
  return p * __builtin_bit_cast(float, bits);
}

void add(float* y, const float* a, const float* b, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void add_scaled(float* y, float factor, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

void relu_backward(float* dx, const float* dy, const float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

void dropout(float* y, const float* x, float rate, const RandomKey& key, uint64_t first,
             int64_t n) {
  const float scale = 1 / (1 - rate);
  const auto threshold = static_cast<uint32_t>(rate * 4294967296.0);
  constexpr int64_t kGroups = 16;  // generated together: the generator's loop vectorises over them
  const auto skip = static_cast<int64_t>(first % 4);  // numbers of the first group not ours
  for (int64_t begin = -skip; begin < n; begin += 4 * kGroups) {
    uint32_t bits[4][kGroups];
    const uint64_t group = first / 4 + static_cast<uint64_t>(begin + skip) / 4;
    uint32_t c0[kGroups], c1[kGroups], c2[kGroups], c3[kGroups];
    for (int64_t g = 0; g < kGroups; ++g) {
      c0[g] = static_cast<uint32_t>(group + g);
      c1[g] = static_cast<uint32_t>((group + g) >> 32);
      c2[g] = key.step;
      c3[g] = static_cast<uint32_t>(key.purpose) << 24 | key.site;
    }
    auto key0 = static_cast<uint32_t>(key.seed), key1 = static_cast<uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round) {  // as philox() in core/random.h
#pragma omp simd
      for (int64_t g = 0; g < kGroups; ++g) {
        const uint64_t product0 = uint64_t{0xD2511F53} * c0[g];
        const uint64_t product1 = uint64_t{0xCD9E8D57} * c2[g];
        c0[g] = static_cast<uint32_t>(product1 >> 32) ^ c1[g] ^ key0;
        c1[g] = static_cast<uint32_t>(product1);
        c2[g] = static_cast<uint32_t>(product0 >> 32) ^ c3[g] ^ key1;
        c3[g] = static_cast<uint32_t>(product0);
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (int64_t g = 0; g < kGroups; ++g) {
      bits[0][g] = c0[g], bits[1][g] = c1[g], bits[2][g] = c2[g], bits[3][g] = c3[g];
    }
    const int64_t end = begin + 4 * kGroups < n ? begin + 4 * kGroups : n;
    for (int64_t i = begin < 0 ? 0 : begin; i < end; ++i) {
      const int64_t place = i - begin;
      y[i] = bits[place % 4][place / 4] >= threshold ? x[i] * scale : 0;
    }
  }
}

void layer_norm(float* y, float* mean, float* rstd, const float* x, const float* gain,
                const float* bias, float epsilon, int64_t n) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const float mu = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mu) * (x[i] - mu);
  const float r = 1 / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mu) * r * gain[i] + bias[i];
  *mean = mu;
  *rstd = r;
}

void layer_norm_backward(float* dx, float* dgain, float* dbias, const float* dy, const float* x,
                         const float* gain, float mean, float rstd, int64_t n) {
  // With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean(g) - xhat mean(g xhat))
  float sum_g = 0, sum_gx = 0;
#pragma omp simd reduction(+ : sum_g, sum_gx)
  for (int64_t i = 0; i < n; ++i) {
    const float xhat = (x[i] - mean) * rstd;
    const float g = dy[i] * gain[i];
    sum_g += g;
    sum_gx += g * xhat;
    dgain[i] += dy[i] * xhat;
    dbias[i] += dy[i];
  }
  const float mean_g = sum_g / static_cast<float>(n), mean_gx = sum_gx / static_cast<float>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float xhat = (x[i] - mean) * rstd;
    dx[i] = rstd * (dy[i] * gain[i] - mean_g - xhat * mean_gx);
  }
}

void softmax(float* y, float* e, const float* x, const float* mask, int64_t n) {
  constexpr float kLowest = -3.4e38f;
  float top = kLowest;
  if (mask) {
    // Only what the mask lets through sets the scale; a larger score behind it must not.
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; ++i) top = largest(top, mask[i] > 0 ? x[i] : kLowest);
  } else {
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; ++i) top = largest(top, x[i]);
  }
  float* const exponentials = e ? e : y;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    exponentials[i] = exponential(x[i] - top);
    sum += (mask ? mask[i] : 1.0f) * exponentials[i];
  }
  const float scale = sum > 0 ? 1 / sum : 0;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float value = exponentials[i] * scale;
    exponentials[i] = value;
    y[i] = mask ? mask[i] * value : value;
  }
}

float log_sum_exp(const float* x, int64_t n) {
  float top = x[0], sum = 0;
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; ++i) top = largest(top, x[i]);
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += exponential(x[i] - top);
  return top + __builtin_logf(sum);
}

void cross_entropy_backward(float* dx, const float* x, float log_sum, int64_t target, float factor,
                            int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = exponential(x[i] - log_sum) * factor;
  dx[target] -= factor;
}

float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void dots(float* s, const float* q, const float* k, int64_t stride, int64_t rows, int64_t n) {
  for (int64_t j = 0; j < rows; ++j) s[j] = dot(q, k + j * stride, n);
}

void mix(float* o, const float* a, const float* v, int64_t stride, int64_t rows, int64_t n) {
  constexpr int64_t kWidth = 32;  // this much of o stays in registers
  int64_t d = 0;
  for (; d + kWidth <= n; d += kWidth) {
    float sum[kWidth] = {};
    for (int64_t j = 0; j < rows; ++j) {
      const float* row = v + j * stride + d;
#pragma omp simd
      for (int64_t i = 0; i < kWidth; ++i) sum[i] += a[j] * row[i];
    }
    for (int64_t i = 0; i < kWidth; ++i) o[d + i] = sum[i];
  }
  for (; d < n; ++d) {
    float sum = 0;
    for (int64_t j = 0; j < rows; ++j) sum += a[j] * v[j * stride + d];
    o[d] = sum;
  }
}

}  // namespace

#define ADASPAN_TEXT_OF(level) #level
#define ADASPAN_TEXT(level) ADASPAN_TEXT_OF(level)

const RowKernels& row_kernels_of_level() {
  static constexpr RowKernels kernels = {
      .level = ADASPAN_TEXT(ADASPAN_LEVEL),
      .add = add,
      .add_scaled = add_scaled,
      .relu_backward = relu_backward,
      .dropout = dropout,
      .layer_norm = layer_norm,
      .layer_norm_backward = layer_norm_backward,
      .softmax = softmax,
      .log_sum_exp = log_sum_exp,
      .cross_entropy_backward = cross_entropy_backward,
      .dot = dot,
      .dots = dots,
      .mix = mix,
  };
  return kernels;
}

}  // namespace adaspan::ADASPAN_LEVEL
