// SPDX-License-Identifier: MIT
// Longer than most files: every kernel of a row has its cases, at every level (those of optimizers:
// optimizer_test.cpp).
#include "adaspan/ops/kernels/row_kernels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace {

using Row = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kUntouched = 12345;

Row random_row(int64_t n, uint64_t seed, double low = -1, double high = 1) {
  Row row(static_cast<size_t>(n));
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = static_cast<float>(low + (high - low) * random_uniform({.seed = seed}, i));
  }
  return row;
}

/// A row to be written, and one number behind it that must not be.
struct Output {
  explicit Output(int64_t n) : values(static_cast<size_t>(n) + 1, kUntouched) {}
  float* data() { return values.data(); }
  float operator[](size_t i) const { return values[i]; }
  Row values;
};

/// Checks that all found numbers are as close to the expected ones as rounding allows: `units` of
/// 2^-24 of `scale`, the largest number on the way to the result.
template <class Expected>
void check_close(const Output& found, const Expected& expected, double scale, double units = 8) {
  const size_t n = found.values.size() - 1;
  double worst = 0;
  for (size_t i = 0; i < n; ++i) {
    const double distance = std::abs(found[i] - expected(i));
    worst = std::isnan(distance) ? distance : std::max(worst, distance);
  }
  CHECK(worst <= units * 0x1p-24 * scale);
  CHECK(found[n] == kUntouched);
}

/// Calls body(kernels, n) for each level and for lengths around the widths of vector registers.
template <class Body>
void for_each_level(const Body& body) {
  for (const RowKernels<>* kernels : available_row_kernels()) {
    INFO("level ", std::string(kernels->level));
    for (int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257}) {
      CAPTURE(n);
      body(*kernels, n);
    }
  }
}

/// The bf16 kernels of a level.
const RowKernels<bf16>& bf16_kernels_of(std::string_view level) {
  for (const RowKernels<bf16>* kernels : available_row_kernels<bf16>()) {
    if (kernels->level == level) return *kernels;
  }
  FAIL("no bf16 kernels");
  return row_kernels<bf16>();
}

std::vector<bf16> rounded(const Row& x) {
  std::vector<bf16> y;
  for (float value : x) y.push_back(to_bf16(value));
  return y;
}

Row widened(const std::vector<bf16>& x) {
  Row y;
  for (bf16 value : x) y.push_back(to_float(value));
  return y;
}

std::vector<uint16_t> bits(const std::vector<bf16>& x) {
  std::vector<uint16_t> y;
  for (bf16 value : x) y.push_back(value.bits);
  return y;
}

double sum_of_products(const Row& a, const Row& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                            [](double x, double y) { return x * y; });
}

/// m e^x / sum(m e^x) in double precision; all zeros where no m is above 0.
std::vector<double> softmax_of(const Row& x, const Row& mask) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (mask[i] > 0) top = std::max(top, double{x[i]});
  }
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    if (mask[i] > 0) y[i] = double{mask[i]} * std::exp(x[i] - top);
    sum += y[i];
  }
  for (double& value : y) value = sum > 0 ? value / sum : 0;
  return y;
}

}  // namespace

TEST_CASE("levels are listed worst first, and the one set is used") {
  const auto levels = available_row_kernels();
  CHECK(std::string(levels.front()->level) == "plain");
  CHECK(&row_kernels() == levels.back());
  CHECK(levels.size() == std::min<size_t>(3, 1 + static_cast<size_t>(best_isa())));
  for (Isa level : {Isa::plain, Isa::avx2, Isa::avx512, Isa::amx}) {
    if (level > best_isa()) continue;
    set_isa(level);
    CHECK(&row_kernels() == levels[std::min<size_t>(2, static_cast<size_t>(level))]);
  }
  set_isa(best_isa());
  for (size_t i = 1; i < levels.size(); ++i) {
    CHECK(std::string(levels[i]->level) != levels[i - 1]->level);
  }
}

TEST_CASE("bf16 kernels compute as those of f32 do and round once") {
  for_each_level([](const RowKernels<>& f32, int64_t n) {
    const RowKernels<bf16>& half = bf16_kernels_of(f32.level);
    const std::vector<bf16> a = rounded(random_row(n, 1)), b = rounded(random_row(n, 2));
    const Row a32 = widened(a), b32 = widened(b), gain = random_row(n, 3), bias = random_row(n, 4);
    const RandomKey key{.seed = 5, .purpose = Purpose::dropout};
    std::vector<bf16> y(a.size() + 1, bf16{0x7777});
    Row y32(a.size());
    const auto same = [&](const char* kernel) {
      INFO(kernel);
      CHECK(bits(std::vector<bf16>(y.begin(), y.end() - 1)) == bits(rounded(y32)));
      CHECK(y.back().bits == 0x7777);
    };

    half.add(y.data(), a.data(), b.data(), n);
    f32.add(y32.data(), a32.data(), b32.data(), n);
    same("add");
    half.dropout(y.data(), a.data(), 0.3f, key, 5, n);
    f32.dropout(y32.data(), a32.data(), 0.3f, key, 5, n);
    same("dropout");
    std::copy(a.begin(), a.end(), y.begin());
    y32 = a32;
    half.relu_dropout(y.data(), 0.3f, key, 6, n);
    f32.relu_dropout(y32.data(), 0.3f, key, 6, n);
    same("relu_dropout");

    Row sums = bias, sums32 = bias;
    half.add_to_sums(sums.data(), a.data(), n);
    f32.add_to_sums(sums32.data(), a32.data(), n);
    CHECK(sums == sums32);
    std::copy(a.begin(), a.end(), y.begin());
    y32 = a32;
    half.relu_backward(y.data(), b.data(), 1.3f, sums.data(), n);
    f32.relu_backward(y32.data(), b32.data(), 1.3f, sums32.data(), n);
    same("relu_backward");
    CHECK(sums == sums32);

    float mean = 0, rstd = 0, mean32 = 0, rstd32 = 0;
    half.layer_norm(y.data(), &mean, &rstd, a.data(), gain.data(), bias.data(), 1e-5f, n);
    f32.layer_norm(y32.data(), &mean32, &rstd32, a32.data(), gain.data(), bias.data(), 1e-5f, n);
    same("layer_norm");
    CHECK(mean == mean32);
    CHECK(rstd == rstd32);
    Row dgain = bias, dbias = gain, dgain32 = bias, dbias32 = gain;
    std::copy(b.begin(), b.end(), y.begin());
    half.layer_norm_backward(y.data(), dgain.data(), dbias.data(), y.data(), a.data(), gain.data(),
                             0.1f, 1.7f, n);
    f32.layer_norm_backward(y32.data(), dgain32.data(), dbias32.data(), b32.data(), a32.data(),
                            gain.data(), 0.1f, 1.7f, n);
    same("layer_norm_backward");
    CHECK(dgain == dgain32);
    CHECK(dbias == dbias32);
  });
}

TEST_CASE("narrow rounds every kind of number as to_bf16 does") {
  for_each_level([](const RowKernels<>& f32, int64_t n) {
    const RowKernels<bf16>& half = bf16_kernels_of(f32.level);
    Row x(static_cast<size_t>(n));
    for (uint64_t pattern = 0; pattern < 40; ++pattern) {
      for (size_t i = 0; i < x.size(); ++i) {
        const uint32_t random = random_bits({.seed = pattern}, i);
        // Ties and their neighbours, up and down; infinities and NaN; denormals; all others
        const uint32_t edges[] = {(random & 0xffff0000) + 0x7fff + random % 3,
                                  0x7f800000 | (random & 0x80000000) | (random % 2 ? random : 0),
                                  random & 0x807fffff, random};
        x[i] = std::bit_cast<float>(edges[random / 4 % 4]);
      }
      std::vector<bf16> y(x.size() + 1, bf16{0x7777});
      half.narrow(y.data(), x.data(), n);
      CHECK(y.back().bits == 0x7777);
      y.pop_back();
      CHECK(bits(y) == bits(rounded(x)));
      Row same(x.size() + 1, kUntouched);
      f32.narrow(same.data(), x.data(), n);
      CHECK(same.back() == kUntouched);
      CHECK(std::memcmp(same.data(), x.data(), x.size() * sizeof(float)) == 0);
    }
  });
}

TEST_CASE("add, add_scaled, add_to_sums and relu_backward are exact") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    const Row a = random_row(n, 1), b = random_row(n, 2);
    Output sum(n);
    kernels.add(sum.data(), a.data(), b.data(), n);
    check_close(
        sum, [&](size_t i) { return double{a[i] + b[i]}; }, 0);

    Output scaled(n);
    std::copy(b.begin(), b.end(), scaled.data());
    kernels.add_scaled(scaled.data(), 0.3f, a.data(), n);
    check_close(
        scaled, [&](size_t i) { return b[i] + double{0.3f} * a[i]; }, 2, 2);

    Row y = b;
    y[0] = 0;  // relu's gradient at its kink is that of the cut side
    Output dx(n), sums(n);
    std::copy(a.begin(), a.end(), dx.data());
    std::copy(b.begin(), b.end(), sums.data());
    kernels.relu_backward(dx.data(), y.data(), 2, sums.data(), n);
    const auto expected = [&](size_t i) { return y[i] > 0 ? 2 * double{a[i]} : 0; };
    check_close(dx, expected, 0);
    check_close(
        sums, [&](size_t i) { return b[i] + expected(i); }, 3, 1);
    kernels.add_to_sums(sums.data(), a.data(), n);
    check_close(
        sums, [&](size_t i) { return b[i] + expected(i) + a[i]; }, 4, 2);
  });
}

TEST_CASE("dropout keeps what the random number of each place says, wherever a row begins") {
  const RandomKey key{.seed = 0x123456789abcdef, .purpose = Purpose::dropout, .step = 7, .site = 9};
  for_each_level([&](const RowKernels<>& kernels, int64_t n) {
    const Row x = random_row(n, 1);
    const uint64_t far = uint64_t{1} << 34;  // beyond 2^32 groups of four
    for (uint64_t first : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{63},
                           uint64_t{1001}, far - 2, far + 5}) {
      for (float rate : {0.1f, 0.5f, 0.999f}) {
        Output y(n), z(n);
        std::copy(x.begin(), x.end(), z.data());
        kernels.dropout(y.data(), x.data(), rate, key, first, n);
        const auto expected = [&](size_t i) {
          const bool kept = random_bits(key, first + i) >= rate * 0x1p32;
          return kept ? double{x[i] * (1 / (1 - rate))} : 0;
        };
        CAPTURE(first);
        CAPTURE(rate);
        check_close(y, expected, 0);
        kernels.dropout(z.data(), z.data(), rate, key, first, n);
        check_close(z, expected, 0);
        std::copy(x.begin(), x.end(), z.data());
        kernels.relu_dropout(z.data(), rate, key, first, n);
        check_close(
            z, [&](size_t i) { return std::max(0.0, expected(i)); }, 0);
      }
    }
  });
}

TEST_CASE("layer_norm of a row far from zero keeps its small differences") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (float offset : {0.0f, 300.0f}) {
      const Row x = random_row(n, 1, offset - 1, offset + 1);
      const Row gain = random_row(n, 2), bias = random_row(n, 3);
      double mu = 0, variance = 0;
      for (float value : x) mu += value / static_cast<double>(n);
      for (float value : x) variance += std::pow(value - mu, 2) / static_cast<double>(n);
      const double r = 1 / std::sqrt(variance + 1e-5);

      Output y(n);
      float mean = 0, rstd = 0;
      kernels.layer_norm(y.data(), &mean, &rstd, x.data(), gain.data(), bias.data(), 1e-5f, n);
      const auto expected = [&](size_t i) { return (x[i] - mu) * r * gain[i] + bias[i]; };
      const double scale = (1 + std::abs(offset)) * r;  // the mean is rounded, then stretched by r
      CAPTURE(offset);
      check_close(y, expected, scale);
      CHECK(mean == doctest::Approx(mu).epsilon(1e-6));
      CHECK(rstd == doctest::Approx(r).epsilon(n == 1 ? 1e-2 : 1e-4));
    }
  });
}

TEST_CASE("layer_norm_backward is the derivative, and adds to the gradients of gain and bias") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    const Row x = random_row(n, 1), dy = random_row(n, 2), gain = random_row(n, 3);
    const float mean = 0.1f, rstd = 1.7f;
    const auto xhat = [&](size_t i) { return (double{x[i]} - mean) * rstd; };
    double mean_g = 0, mean_gx = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      mean_g += double{dy[i]} * gain[i] / static_cast<double>(n);
      mean_gx += double{dy[i]} * gain[i] * xhat(i) / static_cast<double>(n);
    }
    Output dx(n), dgain(n), dbias(n);
    std::fill_n(dgain.data(), n, 2.0f);
    std::fill_n(dbias.data(), n, 3.0f);
    kernels.layer_norm_backward(dx.data(), dgain.data(), dbias.data(), dy.data(), x.data(),
                                gain.data(), mean, rstd, n);
    const auto expected = [&](size_t i) {
      return rstd * (double{dy[i]} * gain[i] - mean_g - xhat(i) * mean_gx);
    };
    check_close(dx, expected, 4);
    check_close(
        dgain, [&](size_t i) { return 2 + dy[i] * xhat(i); }, 4);
    check_close(
        dbias, [&](size_t i) { return 3 + double{dy[i]}; }, 4);
  });
}

TEST_CASE("softmax without a mask") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (float reach : {1.0f, 30.0f, 1e4f}) {
      const Row x = random_row(n, 1, -reach, reach), ones(x.size(), 1);
      const std::vector<double> expected = softmax_of(x, ones);
      Output y(n), same(n), e(n);
      kernels.softmax(y.data(), nullptr, x.data(), nullptr, n);
      kernels.softmax(same.data(), e.data(), x.data(), nullptr, n);
      CAPTURE(reach);
      check_close(
          y, [&](size_t i) { return expected[i]; }, 1);
      check_close(
          same, [&](size_t i) { return double{y[i]}; }, 0);
      check_close(
          e, [&](size_t i) { return double{y[i]}; }, 0);
    }
  });
}

TEST_CASE("softmax with a mask, whatever the scores behind it") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (float hidden : {0.0f, 50.0f, 1e4f, -1e4f, 1e30f}) {
      Row x = random_row(n, 1, -4, 4), mask = random_row(n, 2, -1, 1);
      for (size_t i = 0; i < x.size(); ++i) {
        mask[i] = std::max(mask[i], 0.0f);
        if (mask[i] == 0) x[i] = hidden;
      }
      const std::vector<double> expected = softmax_of(x, mask);
      Output y(n), e(n);
      kernels.softmax(y.data(), e.data(), x.data(), mask.data(), n);
      CAPTURE(hidden);
      check_close(
          y, [&](size_t i) { return expected[i]; }, 1);
      for (size_t i = 0; i < x.size(); ++i) {
        CHECK(std::isfinite(e[i]));
        if (mask[i] > 0) CHECK(e[i] * mask[i] == doctest::Approx(expected[i]).epsilon(1e-5));
      }
    }
  });
}

TEST_CASE("softmax of scores of 1e4 and -1e4 is all weight on the larger visible ones") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    Row x(static_cast<size_t>(n), -1e4f), mask(x.size(), 1);
    x.back() = 1e4f;
    Output y(n), e(n);
    kernels.softmax(y.data(), e.data(), x.data(), mask.data(), n);
    check_close(
        y, [&](size_t i) { return i + 1 == x.size() ? 1.0 : 0.0; }, 1);
    mask.back() = 0;  // now the others share it
    kernels.softmax(y.data(), e.data(), x.data(), mask.data(), n);
    const double share = n > 1 ? 1.0 / static_cast<double>(n - 1) : 0;
    check_close(
        y, [&](size_t i) { return i + 1 == x.size() ? 0.0 : share; }, 1);
  });
}

TEST_CASE("softmax behind a mask of zeros is zero") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (float score : {0.0f, 1e4f, -1e30f}) {
      const Row x(static_cast<size_t>(n), score), mask(x.size(), 0);
      Output y(n), e(n);
      kernels.softmax(y.data(), e.data(), x.data(), mask.data(), n);
      check_close(
          y, [](size_t) { return 0.0; }, 0);
      check_close(
          e, [](size_t) { return 0.0; }, 0);
    }
  });
}

TEST_CASE("a NaN among the scores comes out of softmax, log_sum_exp and cross_entropy_backward") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (size_t place : {size_t{0}, static_cast<size_t>(n / 2), static_cast<size_t>(n - 1)}) {
      Row x = random_row(n, 1);
      x[place] = kNan;
      const Row mask(x.size(), 0.5f);
      Output y(n), e(n), dx(n);
      CAPTURE(place);
      kernels.softmax(y.data(), nullptr, x.data(), nullptr, n);
      CHECK(std::isnan(y[place]));
      kernels.softmax(y.data(), e.data(), x.data(), mask.data(), n);
      CHECK(std::isnan(y[place]));
      CHECK(std::isnan(e[place]));
      CHECK(std::isnan(kernels.log_sum_exp(x.data(), n)));
      kernels.cross_entropy_backward(dx.data(), x.data(), 0, 0, 1, n);
      CHECK(std::isnan(dx[place]));
    }
  });
}

TEST_CASE("log_sum_exp and its gradient, for small and for extreme scores") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    for (float reach : {1.0f, 30.0f, 1e4f}) {
      const Row x = random_row(n, 1, -reach, reach), ones(x.size(), 1);
      const double top = *std::max_element(x.begin(), x.end());
      double sum = 0;
      for (float value : x) sum += std::exp(value - top);
      const double expected = top + std::log(sum);
      CAPTURE(reach);
      const float found = kernels.log_sum_exp(x.data(), n);
      CHECK(std::abs(found - expected) <= 4 * 0x1p-24 * (1 + std::abs(expected)));

      const int64_t target = n / 2;
      const std::vector<double> weights = softmax_of(x, ones);
      Output dx(n);
      kernels.cross_entropy_backward(dx.data(), x.data(), found, target, 0.25f, n);
      const auto gradient = [&](size_t i) {
        return (weights[i] - (static_cast<int64_t>(i) == target ? 1 : 0)) * 0.25;
      };
      check_close(dx, gradient, 0.25 * (1 + reach));  // rounding of log_sum grows with the scores
    }
  });
}

TEST_CASE("e^x is right to two units in the last place from -87 to 80, and clamped outside") {
  constexpr int64_t kPoints = 200'000;
  Row x = random_row(kPoints, 1, -87, 80);
  x[0] = -87;
  x[1] = 80;
  x[2] = 0;
  x.push_back(-1000);
  x.push_back(1000);
  x.push_back(0);  // the target
  const auto n = static_cast<int64_t>(x.size());
  for (const RowKernels<>* kernels : available_row_kernels()) {
    INFO("level ", std::string(kernels->level));
    Output e(n);
    kernels->cross_entropy_backward(e.data(), x.data(), 0, n - 1, 1, n);  // e^(x - 0) * 1
    double worst = 0;
    for (size_t i = 0; i < kPoints; ++i) {
      const double exact = std::exp(double{x[i]});
      const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
      const double off = std::abs(e[i] - exact) / unit;
      if (!(off <= worst)) worst = off;  // not std::max, which passes over NaN
    }
    CHECK(worst <= 2);
    CHECK(e[2] == 1);
    CHECK(e[kPoints] == e[0]);
    CHECK(e[kPoints + 1] == e[1]);
  }
}

TEST_CASE("dot, dots and mix sum over all of their rows, wherever these lie") {
  for_each_level([](const RowKernels<>& kernels, int64_t n) {
    const Row q = random_row(n, 1), other = random_row(n, 2);
    const double scale = static_cast<double>(n);
    CHECK(std::abs(kernels.dot(q.data(), other.data(), n) - sum_of_products(q, other)) <=
          4 * 0x1p-24 * scale);
    for (int64_t rows : {0, 1, 3, 33}) {
      const int64_t stride = n + 5;
      const Row k = random_row(std::max<int64_t>(rows, 1) * stride, 3), a = random_row(rows, 4);
      const auto key = [&](size_t j, size_t i) {
        return double{k[j * static_cast<size_t>(stride) + i]};
      };
      CAPTURE(rows);
      Output s(rows), o(n);
      kernels.dots(s.data(), q.data(), k.data(), stride, rows, n);
      const auto score = [&](size_t j) {
        double sum = 0;
        for (size_t i = 0; i < q.size(); ++i) sum += q[i] * key(j, i);
        return sum;
      };
      check_close(s, score, scale, 4);
      kernels.mix(o.data(), a.data(), k.data(), stride, rows, n);
      const auto mixed = [&](size_t i) {
        double sum = 0;
        for (size_t j = 0; j < a.size(); ++j) sum += a[j] * key(j, i);
        return sum;
      };
      check_close(o, mixed, static_cast<double>(rows), 4);
    }
  });
}

}  // namespace adaspan
