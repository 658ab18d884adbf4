// SPDX-License-Identifier: MIT
// Compiled once for each instruction set, in a namespace of its name (ADASPAN_LEVEL). Nothing here
// may call an inline function or template of a header that is not written for such files (level_*):
// the linker keeps one copy of those for the whole program, perhaps the one for the larger
// instruction set. Hence no <algorithm>, <cmath>. Longer than most files: each level is one file,
// and its kernels are many and short.
#include "adaspan/ops/kernels/row_kernels.h"

#include "adaspan/ops/kernels/level_random.h"
#include "adaspan/ops/kernels/level_vectors.h"

namespace adaspan::ADASPAN_LEVEL {
namespace {

template <class T>
void narrow(T* y, const float* x, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) { at.store(y + i, at.load(x + i)); });
}

template <class T>
void add(T* y, const T* a, const T* b, int64_t n) {
  by_vectors(
      n, [=](int64_t i, int64_t, auto at) { at.store(y + i, at.load(a + i) + at.load(b + i)); });
}

template <class T>
void add_to_sums(float* sums, const T* x, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    at.store(sums + i, at.load(sums + i) + at.load(x + i));
  });
}

/// y = f(x) / (1 - rate) where the random number is at least rate, else 0; f is the identity or
/// max(0, .).
template <bool kRelu, class T>
inline void drop(T* y, const T* x, float rate, const RandomKey& key, uint64_t first, int64_t n) {
  const float scale = 1 / (1 - rate);
  const auto threshold = static_cast<uint32_t>(rate * 4294967296.0);
  const auto skip = static_cast<int64_t>(first % 4);  // numbers of the first group not ours
  uint64_t group = first / 4;
  const RoundKeys keys(key);
  for (int64_t begin = -skip; begin < n; begin += kRandomBlock, group += kRandomBlock / 4) {
    alignas(kVector * 4) float bits[kRandomBlock];
    random_block(bits, keys, group);
    const int64_t from = begin < 0 ? 0 : begin;
    const int64_t end = begin + kRandomBlock < n ? begin + kRandomBlock : n;
    const float* const random = bits + (from - begin);
    by_vectors(end - from, [=](int64_t i, int64_t, auto at) {
      Vec value = at.load(x + from + i) * scale;
      if (kRelu) value = value > 0 ? value : Vec{};
      const auto number = reinterpret_cast<Bits>(at.load(random + i));
      at.store(y + from + i, number >= threshold ? value : Vec{});
    });
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
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    const Vec d = at.load(y + i) > 0 ? at.load(dy + i) * scale : Vec{};
    at.store(column_sums + i, at.load(column_sums + i) + d);
    at.store(dy + i, d);
  });
}

template <class T>
void layer_norm(T* y, float* mean, float* rstd, const T* x, const float* gain, const float* bias,
                float epsilon, int64_t n) {
  const auto count = static_cast<float>(n);
  const float mu = sum_of(n, [=](int64_t i, auto at) { return at.load(x + i); }) / count;
  const auto squares = [=](float unit) {
    return sum_of(n, [=](int64_t i, auto at) {
      const Vec distance = (at.load(x + i) - mu) * unit;
      return distance * distance;
    });
  };
  float r = 1 / __builtin_sqrtf(squares(1) / count + epsilon);
  constexpr float kUnit = 0x1p-64f;
  if (r == 0) r = kUnit / __builtin_sqrtf(squares(kUnit) / count);  // they were infinite
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    at.store(y + i, (at.load(x + i) - mu) * r * at.load(gain + i) + at.load(bias + i));
  });
  *mean = mu;
  *rstd = r;
}

template <class T>
void layer_norm_backward(T* dx, float* dgain, float* dbias, const T* dy, const T* x,
                         const float* gain, float mean, float rstd, int64_t n) {
  // With xhat = (x - mean) rstd and g = dy gain:  dx = rstd (g - mean(g) - xhat mean(g xhat))
  Vec sums_g[kSums] = {}, sums_gx[kSums] = {};
  by_vectors(n, [=, &sums_g, &sums_gx](int64_t i, int64_t k, auto at) {
    const Vec xhat = (at.load(x + i) - mean) * rstd;
    const Vec d = at.load(dy + i), g = d * at.load(gain + i);
    sums_g[k] += g;
    sums_gx[k] += g * xhat;
    at.store(dgain + i, at.load(dgain + i) + d * xhat);
    at.store(dbias + i, at.load(dbias + i) + d);
  });
  const float mean_g = total(sums_g) / static_cast<float>(n);
  const float mean_gx = total(sums_gx) / static_cast<float>(n);
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    const Vec xhat = (at.load(x + i) - mean) * rstd;
    const Vec g = at.load(dy + i) * at.load(gain + i);
    at.store(dx + i, rstd * (g - mean_g - xhat * mean_gx));
  });
}

void add_scaled(float* y, float factor, const float* x, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    at.store(y + i, at.load(y + i) + factor * at.load(x + i));
  });
}

constexpr float kLowest = -3.40282347e38f;

void softmax(float* y, float* e, const float* x, const float* mask, int64_t n) {
  if (!mask) {
    const float top = largest_of(n, kLowest, [=](int64_t i, auto at) { return at.load(x + i); });
    const float sum = sum_of(n, [=](int64_t i, auto at) {
      const Vec value = exponential(at.load(x + i) - top);
      at.store(y + i, value);
      return value;
    });
    by_vectors(n, [=, scale = 1 / sum](int64_t i, int64_t, auto at) {
      const Vec value = at.load(y + i) * scale;
      at.store(y + i, value);
      if (e) at.store(e + i, value);
    });
    return;
  }
  // Only what the mask lets through sets the scale; a larger score behind it must not.
  const float top = largest_of(n, kLowest, [=](int64_t i, auto at) {
    return at.load(mask + i) >= kLeastMask ? at.load(x + i) : all(kLowest);
  });
  const float sum = sum_of(n, [=](int64_t i, auto at) {
    const Vec value = exponential(at.load(x + i) - top);
    const Vec m = at.load(mask + i);
    at.store(e + i, value);
    return m * (m < kLeastMask ? Vec{} : value);  // behind the mask a score may be no number
  });
  by_vectors(n, [=, scale = sum > 0 ? 1 / sum : 0](int64_t i, int64_t, auto at) {
    const Vec m = at.load(mask + i), value = at.load(e + i) * scale;
    at.store(e + i, value > kMostShare ? all(kMostShare) : value);
    at.store(y + i, m * (m < kLeastMask ? Vec{} : value));
  });
}

float log_sum_exp(const float* x, int64_t n) {
  const float top = largest_of(n, x[0], [=](int64_t i, auto at) { return at.load(x + i); });
  return top + __builtin_logf(sum_of(
                   n, [=](int64_t i, auto at) { return exponential(at.load(x + i) - top); }));
}

void cross_entropy_backward(float* dx, const float* x, float log_sum, int64_t target, float factor,
                            int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    at.store(dx + i, exponential(at.load(x + i) - log_sum) * factor);
  });
  if (target >= 0 && target < n) dx[target] -= factor;
}

float dot(const float* a, const float* b, int64_t n) {
  return sum_of(n, [=](int64_t i, auto at) { return at.load(a + i) * at.load(b + i); });
}

void dots(float* s, const float* q, const float* k, int64_t stride, int64_t rows, int64_t n) {
  for (int64_t j = 0; j < rows; ++j) s[j] = dot(q, k + j * stride, n);
}

void mix(float* o, const float* a, const float* v, int64_t stride, int64_t rows, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    Vec sum = {};
    for (int64_t j = 0; j < rows; ++j) sum += a[j] * at.load(v + j * stride + i);
    at.store(o + i, sum);
  });
}

typedef float HalfVec __attribute__((vector_size(2 * kVector)));
typedef double Doubles __attribute__((vector_size(4 * kVector)));

double sum_of_squares(const float* g, int64_t n) {
  Doubles sums[2 * kSums] = {};
  by_vectors(n, [=, &sums](int64_t i, int64_t k, auto at) {
    const Vec v = at.load(g + i);
    HalfVec halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    for (int64_t h = 0; h < 2; ++h) {
      const auto wide = __builtin_convertvector(halves[h], Doubles);
      sums[2 * k + h] += wide * wide;
    }
  });
  for (int64_t k = 1; k < 2 * kSums; ++k) sums[0] += sums[k];
  double sum = 0;
  for (int64_t i = 0; i < kVector / 2; ++i) sum += sums[0][i];
  return sum;
}

void sgd(float* p, float* v, const float* g, float rate, float momentum, float factor, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    const Vec velocity = momentum * at.load(v + i) + factor * at.load(g + i);
    at.store(v + i, velocity);
    at.store(p + i, at.load(p + i) - rate * velocity);
  });
}

constexpr float kMostGradient = 0x1p48f;

void adagrad(float* p, float* G, const float* g, float rate, float epsilon, int64_t n) {
  by_vectors(n, [=](int64_t i, int64_t, auto at) {
    const Vec d = bounded(at.load(g + i), kMostGradient), sum = at.load(G + i) + d * d;
    at.store(G + i, sum);
    at.store(p + i, at.load(p + i) - rate * d / (square_root(sum) + epsilon));
  });
}

void adam(float* p, float* m, float* v, const float* g, const AdamNumbers& numbers, int64_t n) {
  by_vectors(n, [=, c = numbers](int64_t i, int64_t, auto at) {
    const Vec d = bounded(c.factor * at.load(g + i), kMostGradient);
    const Vec mean = c.mean_decay * at.load(m + i) + c.mean_share * d;
    const Vec square = c.square_decay * at.load(v + i) + c.square_share * d * d;
    at.store(m + i, mean);
    at.store(v + i, square);
    at.store(p + i, at.load(p + i) - c.rate * mean / (square_root(square) / c.root + c.epsilon));
  });
}

}  // namespace

template <class T>
const RowKernels<T>& row_kernels_of_level() {
  static constexpr RowKernels<T> kernels = {
      .level = ADASPAN_LEVEL_NAME,
      .narrow = narrow<T>,
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
      .sum_of_squares = sum_of_squares,
      .sgd = sgd,
      .adagrad = adagrad,
      .adam = adam,
  };
  return kernels;
}

template const RowKernels<float>& row_kernels_of_level();
template const RowKernels<bf16>& row_kernels_of_level();

}  // namespace adaspan::ADASPAN_LEVEL
