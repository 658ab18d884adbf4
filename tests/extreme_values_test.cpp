// SPDX-License-Identifier: MIT
// What the kernels make of the largest and smallest numbers: at every level the same as their
// definition in double precision, and finite where that is. The products of attention: see
// span_attention_tiles_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/random.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/kernels/span_kernels.h"

namespace adaspan {
namespace {

using Row = std::vector<float>;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kLeastMask = 0x1p-25, kMostShare = 0x1p26;

/// Calls body() for each level, with denormal numbers as they are and as zeros.
template <class Body>
void for_each_level(const Body& body) {
  for (Isa level : {Isa::plain, Isa::avx2, Isa::avx512}) {
    if (level > best_isa()) continue;
    set_isa(level);
    CAPTURE(std::string(name(level)));
    for (bool flushed : {false, true}) {
      CAPTURE(flushed);
      std::optional<FlushDenormals> flush;
      if (flushed) flush.emplace();
      body();
    }
  }
  set_isa(best_isa());
}

/// Picks from lists, the same in every run.
class Picks {
 public:
  explicit Picks(uint64_t seed) : key_{.seed = seed} {}
  float of(const Row& choices) { return choices[random_bits(key_, count_++) % choices.size()]; }

 private:
  RandomKey key_;
  uint64_t count_ = 0;
};

/// One row of attention: scores, its mask and slope, and the gradient of its weights.
struct AttentionRow {
  Row x, mask, slope, g;
  float factor;

  /// What neither its mask nor its slope lets through must not matter.
  bool hidden(size_t j) const { return mask[j] < kLeastMask && slope[j] == 0; }
};

/// Scores are multiples of size/4: equal, or far apart even where floats are sparse. What is hidden
/// has any score, above all larger ones than the others by all sizes.
AttentionRow random_row(size_t n, float size, const Row& masks, Picks& picks) {
  AttentionRow row{Row(n), Row(n), Row(n), Row(n), 1 / std::sqrt(32.0f)};
  for (size_t j = 0; j < n; ++j) {
    row.mask[j] = picks.of(masks);
    row.slope[j] = picks.of({0, 1.0f / 32});
    row.x[j] = size * picks.of({-1, -0.5f, -0.25f, 0, 0.25f, 0.5f, 1});
    row.g[j] = picks.of({-1, -0.3f, 0, 0.2f, 2});
    if (!row.hidden(j)) continue;
    row.x[j] = picks.of({0, size + 250, size + 500, 1e6f, FLT_MAX, -FLT_MAX, kInf, -kInf, kNan});
    row.g[j] = picks.of({0, 1, FLT_MAX, kInf, kNan});
  }
  return row;
}

/// The definition; hidden columns are not looked at.
struct Expected {
  std::vector<double> e, weight, dx;
  double dz = 0, size_of_dz = 0;  ///< the sum, and the sum of what is summed without signs

  explicit Expected(const AttentionRow& row) {
    const size_t n = row.x.size();
    const auto mask = [&](size_t j) { return row.mask[j] < kLeastMask ? 0 : double{row.mask[j]}; };
    const auto score = [&](size_t j) { return double{row.factor} * row.x[j]; };
    double top = -std::numeric_limits<double>::infinity(), sum = 0, c = 0;
    for (size_t j = 0; j < n; ++j) {
      if (mask(j) > 0) top = std::max(top, score(j));
    }
    for (size_t j = 0; j < n; ++j) {
      if (mask(j) > 0) sum += mask(j) * std::exp(score(j) - top);
    }
    e.resize(n);
    weight.resize(n);
    dx.resize(n);
    for (size_t j = 0; j < n; ++j) {
      if (row.hidden(j) || sum == 0) continue;
      e[j] = std::min(std::exp(std::min(score(j) - top, 700.0)) / sum, kMostShare);
      weight[j] = mask(j) * e[j];
      c += weight[j] * row.g[j];
    }
    for (size_t j = 0; j < n; ++j) {
      if (row.hidden(j)) continue;
      dx[j] = row.factor * weight[j] * (row.g[j] - c);
      dz += row.slope[j] * e[j] * (row.g[j] - c);
      size_of_dz += row.slope[j] * e[j] * (std::abs(row.g[j]) + std::abs(c));
    }
  }
};

/// Calls check(row) for rows of all kinds.
template <class Check>
void for_each_row(const Check& check) {
  const float ramp_end = 0x1p-24f;  // the least mask of a span
  const Row kinds[] = {{1},
                       {0},
                       {0, 0, 0, 0, 0, 0, 0, 0, 1},  // few are seen, or one
                       {ramp_end},
                       {0, ramp_end, 0.5f, 1},
                       {0, 1e-40f, 1e-38f, ramp_end},
                       {0, 1e-40f, 1e-38f, 1e-15f, 1e-14f, ramp_end, 1}};
  Picks picks(1);
  for (float size : {0.0f, 1.0f, 60.0f, 1e4f, 1e7f, 1e10f, 1e30f, 3e38f}) {
    CAPTURE(size);
    for (size_t n : {1, 2, 15, 16, 17, 70}) {
      for (size_t kind = 0; kind < std::size(kinds); ++kind) {
        CAPTURE(kind);
        check(random_row(n, size, kinds[kind], picks));
      }
    }
  }
}

void check_close(const float* found, const std::vector<double>& expected, double scale) {
  double worst = 0;
  for (size_t j = 0; j < expected.size(); ++j) {
    const double off = std::abs(found[j] - expected[j]);
    if (!(off <= worst)) worst = off;  // not std::max, which passes over NaN
  }
  CHECK(worst <= 4e-6 * scale);
}

SoftmaxRows one_row(size_t E, const Row& mask, const Row& slope, float factor) {
  return {.E = static_cast<int64_t>(E),
          .persistent = 0,
          .P = 0,
          .factor = factor,
          .stride = 0,
          .count = 1,
          .row = {{mask.data(), slope.data(), nullptr}}};
}

/// With room for whole vectors, whose masks are 0.
Row padded(Row row) {
  row.resize(row.size() / 16 * 16 + 16);
  return row;
}

/// Rows of one length, as they are made together; as rows of persistent vectors, which are seen in
/// full and move no span.
void check_together(const SpanRowKernels& kernels, const std::vector<AttentionRow>& some,
                    bool persistent = false) {
  const size_t n = some[0].x.size(), stride = padded(some[0].x).size();
  Row x, again, g;
  std::vector<Row> masks, slopes;
  SoftmaxRows rows{.E = persistent ? 0 : static_cast<int64_t>(n),
                   .persistent = 0,
                   .P = persistent ? static_cast<int64_t>(n) : 0,
                   .factor = some[0].factor,
                   .stride = static_cast<int64_t>(stride),
                   .count = static_cast<int64_t>(some.size()),
                   .row = {}};
  for (const AttentionRow& row : some) {
    const Row more = padded(row.x), more_g = padded(row.g);
    x.insert(x.end(), more.begin(), more.end());
    g.insert(g.end(), more_g.begin(), more_g.end());
    masks.push_back(padded(row.mask));
    slopes.push_back(padded(row.slope));
  }
  for (size_t r = 0; r < some.size(); ++r) {
    rows.row[r] = {masks[r].data(), slopes[r].data(), nullptr};
  }
  again = x;
  SoftmaxScale scales[kRowsTogether];
  float dz[kRowsTogether];
  kernels.softmax(scales, x.data(), rows);
  kernels.softmax_backward(dz, again.data(), g.data(), rows, scales);
  for (size_t r = 0; r < some.size(); ++r) {
    const Expected expected(some[r]);
    float* weights = x.data() + r * stride;
    for (size_t j = 0; j < n; ++j) weights[j] *= scales[r].scale;
    check_close(weights, expected.weight, 1);
    check_close(again.data() + r * stride, expected.weight, 1);
    check_close(g.data() + r * stride, expected.dx, 2);
    // e^-87 is the least that the kernels make of a score
    const double dz_expected = persistent ? 0 : expected.dz;
    CHECK(std::abs(dz[r] - dz_expected) <= 4e-6 * expected.size_of_dz + 1e-20);
  }
  const auto in_full = [](const AttentionRow& row) {
    return std::ranges::all_of(row.mask, [](float m) { return m == 1; });
  };
  if (!persistent && std::ranges::all_of(some, in_full)) check_together(kernels, some, true);
}

}  // namespace

TEST_CASE("rows of attention and their gradients are those of their definition, at any size") {
  for_each_level([] {
    std::vector<AttentionRow> some;
    for_each_row([&some, kernels = span_kernels().rows](const AttentionRow& row) {
      check_together(kernels, {row});
      if (!some.empty() && some[0].x.size() != row.x.size()) some.clear();
      some.push_back(row);
      if (some.size() == kRowsTogether) check_together(kernels, some);
      if (some.size() == kRowsTogether) some.clear();
    });
  });
}

TEST_CASE("softmax with a mask is its definition at any size") {
  for_each_level([] {
    for_each_row([](AttentionRow row) {
      row.factor = 1;
      for (float& slope : row.slope) slope = 0;
      const Expected expected(row);
      Row y(row.x.size()), e(row.x.size());
      row_kernels().softmax(y.data(), e.data(), row.x.data(), row.mask.data(),
                            static_cast<int64_t>(y.size()));
      check_close(y.data(), expected.weight, 1);
      for (size_t j = 0; j < y.size(); ++j) {
        if (row.hidden(j)) CHECK((std::isnan(row.x[j]) || (e[j] >= 0 && e[j] <= kMostShare)));
      }
    });
  });
}

TEST_CASE("a score that is no number is seen wherever its mask lets it through") {
  for_each_level([] {
    for (float score : {kNan, kInf}) {
      for (float visible : {1.0f, 0x1p-24f}) {
        Row x(16, 0.5f), y(16), mask(16, 1), slope(16), g(16, 0.1f);
        x[5] = score;
        mask[5] = visible;
        row_kernels().softmax(y.data(), g.data(), x.data(), mask.data(), 16);
        CHECK(std::isnan(y[5]));
        const SoftmaxRows masks = one_row(16, mask, slope, 1);
        Row again = x;
        SoftmaxScale scale;
        span_kernels().rows.softmax(&scale, again.data(), masks);
        CHECK(std::isnan(again[5]));
        float dz = 0;
        span_kernels().rows.softmax_backward(&dz, x.data(), g.data(), masks, &scale);
        CHECK(std::isnan(g[5]));
      }
    }
  });
}

TEST_CASE("the loss of logits of any size, and its gradient, are those of their definition") {
  for_each_level([] {
    Picks picks(2);
    for (float size : {1.0f, 1e4f, 1e7f, 1e10f, 1e30f, 1.5e38f}) {
      CAPTURE(size);
      Row x(50);
      for (float& logit : x) logit = size * picks.of({-1, -0.5f, 0.25f, 0.5f, 1});
      // one logit ahead of all others: near equal ones of this size have no digits for their sum
      x[7] = size * 1.25f;
      const float log_sum = row_kernels().log_sum_exp(x.data(), 50);
      double sum = 0;
      for (float logit : x) sum += std::exp(double{logit} - double{x[7]});
      const double expected = x[7] + std::log(sum);
      CHECK(std::abs(log_sum - expected) <= 1e-6 * (1 + std::abs(expected)));
      Row dx(50);
      row_kernels().cross_entropy_backward(dx.data(), x.data(), log_sum, 3, 1, 50);
      std::vector<double> gradient;
      for (float logit : x) gradient.push_back(std::exp(logit - expected));
      gradient[3] -= 1;
      check_close(dx.data(), gradient,
                  size == 1e4f ? 1e3 : 10);  // log_sum has the digits of logits
    }
  });
}

TEST_CASE("layer norm is its definition for rows of any size, and for rows of one number") {
  for_each_level([] {
    Picks picks(3);
    for (float size : {0.0f, 1e-30f, 1.0f, 1e10f, 1e19f, 1e25f, 1e34f}) {
      CAPTURE(size);
      for (size_t n : {1, 5, 33, 256}) {
        const Row gain(n, 0.5f), bias(n, 0.25f);
        Row x(n), y(n), dx(n), dgain(n), dbias(n), dy(n);
        for (float& value : x) value = size * picks.of({-1, -0.5f, 0.25f, 1});
        for (float& value : dy) value = picks.of({-1, 0.5f, 1});
        for (bool constant : {false, true}) {
          CAPTURE(n);
          CAPTURE(constant);
          if (constant) std::fill(x.begin(), x.end(), std::ldexp(1.0f, std::ilogb(size + 1)));
          double mean = 0, variance = 0;
          for (float value : x) mean += value;
          mean /= static_cast<double>(n);
          for (float value : x) variance += std::pow(value - mean, 2) / static_cast<double>(n);
          std::vector<double> expected;
          for (float value : x) {
            expected.push_back((value - mean) / std::sqrt(variance + 1e-5) * 0.5 + 0.25);
          }
          float mu = 0, rstd = 0;
          const auto count = static_cast<int64_t>(n);
          row_kernels().layer_norm(y.data(), &mu, &rstd, x.data(), gain.data(), bias.data(), 1e-5f,
                                   count);
          check_close(y.data(), expected, 4);
          row_kernels().layer_norm_backward(dx.data(), dgain.data(), dbias.data(), dy.data(),
                                            x.data(), gain.data(), mu, rstd, count);
          for (size_t i = 0; i < n; ++i) CHECK(std::isfinite(dx[i]));
        }
      }
    }
  });
}

TEST_CASE("gradients up to the largest number move a parameter, and leave no infinite state") {
  const AdamNumbers adam{.rate = 0.1f / (1 - 0.9f),
                         .root = std::sqrt(1 - 0.999f),
                         .factor = 1,
                         .mean_decay = 0.9f,
                         .mean_share = 1 - 0.9f,
                         .square_decay = 0.999f,
                         .square_share = 1 - 0.999f,
                         .epsilon = 1e-8f};
  for_each_level([&] {
    const Row g = {1, 1e10f, -1e15f, 1e19f, -2e19f, 1e25f, -1e30f, FLT_MAX, -FLT_MAX};
    const auto n = static_cast<int64_t>(g.size());
    double squares = 0;
    for (float value : g) squares += double{value} * value;
    CHECK(row_kernels().sum_of_squares(g.data(), n) == doctest::Approx(squares).epsilon(1e-12));

    std::vector<double> moved;  // the first step of both is as long as the rate
    for (float value : g) moved.push_back(value > 0 ? -0.1 : 0.1);
    Row p(g.size()), sum(g.size()), q(g.size()), mean(g.size()), square(g.size());
    row_kernels().adagrad(p.data(), sum.data(), g.data(), 0.1f, 1e-10f, n);
    check_close(p.data(), moved, 0.1);
    row_kernels().adam(q.data(), mean.data(), square.data(), g.data(), adam, n);
    check_close(q.data(), moved, 1);
    for (const Row* state : {&sum, &mean, &square}) {
      for (float value : *state) CHECK(std::isfinite(value));
    }
  });
}

}  // namespace adaspan
