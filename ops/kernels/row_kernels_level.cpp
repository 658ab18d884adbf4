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

/// The f32 of a number in memory.
inline float widen(float x) {
  return x;
}
inline float widen(bf16 x) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
}

/// to = x, rounded to the nearest, ties to the even one, as to_bf16() in core/bf16.h
inline void put(float& to, float x) {
  to = x;
}
inline void put(bf16& to, float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  to.bits = static_cast<uint16_t>((x == x ? rounded : bits | 0x400000) >> 16);  // NaN stays NaN
}

#if defined(__AVX512F__)
constexpr int64_t kVector = 16;  // f32 numbers in a vector
#elif defined(__AVX2__)
constexpr int64_t kVector = 8;
#else
constexpr int64_t kVector = 4;
#endif
constexpr int64_t kLanes = 4 * kVector;  // sums side by side, so that none waits for the last one

/// Calls body(i, lane) for each i in [0, n), lane in [0, kLanes). What is left of a row behind its
/// last whole vector is a vector, too, with a mask: number by number it would take as long as all
/// the rest.
template <class Body>
inline void by_lanes(int64_t n, const Body& body) {
  int64_t begin = 0;
  for (; begin + kLanes <= n; begin += kLanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < kLanes; ++lane) body(begin + lane, lane);
  }
  for (; begin < n; begin += kVector) {
#pragma omp simd
    for (int64_t lane = 0; lane < kVector; ++lane) {
      if (begin + lane < n) body(begin + lane, lane);
    }
  }
}

inline float sum_of_lanes(const float* lanes) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

template <class T>
void add(T* y, const T* a, const T* b, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) put(y[i], widen(a[i]) + widen(b[i]));
}

template <class T>
void add_to_sums(float* sums, const T* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) sums[i] += widen(x[i]);
}

constexpr int64_t kRandomBlock = 64;

/// Numbers 4 group .. 4 group + 63 of a stream, as random_group() in core/random.h, 16 groups side
/// by side.
inline void random_block(uint32_t* bits, const RandomKey& key, uint64_t group) {
  const auto seed0 = static_cast<uint32_t>(key.seed), seed1 = static_cast<uint32_t>(key.seed >> 32);
  const uint32_t use = static_cast<uint32_t>(key.purpose) << 24 | key.site;
#pragma omp simd
  for (int64_t g = 0; g < kRandomBlock / 4; ++g) {
    uint32_t c0 = static_cast<uint32_t>(group + g), c1 = static_cast<uint32_t>((group + g) >> 32);
    uint32_t c2 = key.step, c3 = use, key0 = seed0, key1 = seed1;
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const uint64_t product0 = uint64_t{0xD2511F53} * c0;
      const uint64_t product1 = uint64_t{0xCD9E8D57} * c2;
      c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ key0;
      c1 = static_cast<uint32_t>(product1);
      c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ key1;
      c3 = static_cast<uint32_t>(product0);
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    bits[4 * g] = c0, bits[4 * g + 1] = c1, bits[4 * g + 2] = c2, bits[4 * g + 3] = c3;
  }
}

/// y = f(x) / (1 - rate) where the random number is at least rate, else 0; f is the identity or
/// max(0, .).
template <bool kRelu, class T>
inline void drop(T* y, const T* x, float rate, const RandomKey& key, uint64_t first, int64_t n) {
  const float scale = 1 / (1 - rate);
  const auto threshold = static_cast<uint32_t>(rate * 4294967296.0);
  const auto skip = static_cast<int64_t>(first % 4);  // numbers of the first group not ours
  uint64_t group = first / 4;
  for (int64_t begin = -skip; begin < n; begin += kRandomBlock, group += kRandomBlock / 4) {
    uint32_t bits[kRandomBlock];
    random_block(bits, key, group);
    const int64_t end = begin + kRandomBlock < n ? begin + kRandomBlock : n;
    const int64_t from = begin < 0 ? 0 : begin;
#pragma omp simd
    for (int64_t i = from; i < end; ++i) {
      const float value = widen(x[i]) * scale;
      const float passed = kRelu ? (value > 0 ? value : 0) : value;
      put(y[i], bits[i - begin] >= threshold ? passed : 0);
    }
  }
}

template <class T>
void dropout(T* y, const T* x, float rate, const RandomKey& key, uint64_t first, int64_t n) {
  drop<false>(y, x, rate, key, first, n);
}

template <class T>
void relu_dropout(T* y, float rate, const RandomKey& key, uint64_t first, int64_t n) {
  drop<true>(y, y, rate, key, first, n);
}

template <class T>
void relu_backward(T* dy, const T* y, float scale, float* column_sums, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float passed = widen(dy[i]) * scale;  // outside the choice, which then is one instruction
    const float d = widen(y[i]) > 0 ? passed : 0;
    column_sums[i] += d;
    put(dy[i], d);
  }
}

template <class T>
void layer_norm(T* y, float* mean, float* rstd, const T* x, const float* gain, const float* bias,
                float epsilon, int64_t n) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += widen(x[i]);
  const float mu = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; ++i) squares += (widen(x[i]) - mu) * (widen(x[i]) - mu);
  const float r = 1 / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) put(y[i], (widen(x[i]) - mu) * r * gain[i] + bias[i]);
  *mean = mu;
  *rstd = r;
}

template <class T>
void layer_norm_backward(T* dx, float* dgain, float* dbias, const T* dy, const T* x,
                         const float* gain, float mean, float rstd, int64_t n) {
  // With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean(g) - xhat mean(g xhat))
  float sum_g = 0, sum_gx = 0;
#pragma omp simd reduction(+ : sum_g, sum_gx)
  for (int64_t i = 0; i < n; ++i) {
    const float xhat = (widen(x[i]) - mean) * rstd;
    const float d = widen(dy[i]), g = d * gain[i];
    sum_g += g;
    sum_gx += g * xhat;
    dgain[i] += d * xhat;
    dbias[i] += d;
  }
  const float mean_g = sum_g / static_cast<float>(n), mean_gx = sum_gx / static_cast<float>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float xhat = (widen(x[i]) - mean) * rstd;
    put(dx[i], rstd * (widen(dy[i]) * gain[i] - mean_g - xhat * mean_gx));
  }
}

void add_scaled(float* y, float factor, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

void softmax(float* y, float* e, const float* x, const float* mask, int64_t n) {
  constexpr float kLowest = -3.4e38f;
  float top = kLowest;
  float sums[kLanes] = {};
  if (mask) {
    // Only what the mask lets through sets the scale; a larger score behind it must not.
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; ++i) top = largest(top, mask[i] > 0 ? x[i] : kLowest);
    by_lanes(n, [&](int64_t i, int64_t lane) {
      e[i] = exponential(x[i] - top);
      sums[lane] += mask[i] * e[i];
    });
  } else {
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; ++i) top = largest(top, x[i]);
    by_lanes(n, [&](int64_t i, int64_t lane) {
      y[i] = exponential(x[i] - top);
      sums[lane] += y[i];
    });
  }
  const float sum = sum_of_lanes(sums), scale = sum > 0 ? 1 / sum : 0;
  if (mask) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      e[i] *= scale;
      y[i] = mask[i] * e[i];
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] *= scale;
    for (int64_t i = 0; e && i < n; ++i) e[i] = y[i];
  }
}

float log_sum_exp(const float* x, int64_t n) {
  float top = x[0];
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; ++i) top = largest(top, x[i]);
  float sums[kLanes] = {};
  by_lanes(n, [&](int64_t i, int64_t lane) { sums[lane] += exponential(x[i] - top); });
  return top + __builtin_logf(sum_of_lanes(sums));
}

void cross_entropy_backward(float* dx, const float* x, float log_sum, int64_t target, float factor,
                            int64_t n) {
  by_lanes(n, [&](int64_t i, int64_t) { dx[i] = exponential(x[i] - log_sum) * factor; });
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

template <class T>
const RowKernels<T>& row_kernels_of_level() {
  static constexpr RowKernels<T> kernels = {
      .level = ADASPAN_TEXT(ADASPAN_LEVEL),
      .add = add<T>,
      .add_to_sums = add_to_sums<T>,
      .dropout = dropout<T>,
      .relu_dropout = relu_dropout<T>,
      .relu_backward = relu_backward<T>,
      .layer_norm = layer_norm<T>,
      .layer_norm_backward = layer_norm_backward<T>,
      .add_scaled = add_scaled,
      .softmax = softmax,
      .log_sum_exp = log_sum_exp,
      .cross_entropy_backward = cross_entropy_backward,
      .dot = dot,
      .dots = dots,
      .mix = mix,
  };
  return kernels;
}

template const RowKernels<float>& row_kernels_of_level();
template const RowKernels<bf16>& row_kernels_of_level();

}  // namespace adaspan::ADASPAN_LEVEL
