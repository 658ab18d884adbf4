// SPDX-License-Identifier: MIT
// The kernels of a decoder at every level that runs here, against sums in double.
#include "adaspan/ops/kernels/decode_kernels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "adaspan/core/random.h"

namespace adaspan {
namespace {

using Row = std::vector<float>;

constexpr float kUntouched = 12345;

Row random_row(int64_t n, uint64_t seed) {
  Row row(static_cast<size_t>(n));
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = static_cast<float>(random_uniform({.seed = seed}, i) * 2 - 1);
  }
  return row;
}

template <class T>
std::vector<T> stored(const Row& row) {
  std::vector<T> all;
  for (float x : row) all.push_back(from_float<T>(x));
  return all;
}

/// Calls body(kernels) for each level.
template <class T, class Body>
void for_each_level(const Body& body) {
  for (const DecodeKernels<T>* kernels : available_decode_kernels<T>()) {
    const std::string level = kernels->level;
    CAPTURE(level);
    body(*kernels);
  }
}

TEST_CASE_TEMPLATE("products are sums over rows, the same bits for any number of texts", T, float,
                   bf16) {
  for_each_level<T>([](const DecodeKernels<T>& kernels) {
    for (const int64_t columns : {1, 7, 16, 33, 150}) {
      for (const int64_t rows : {1, 3, 8, 45}) {
        constexpr int64_t kTexts = 7;
        const int64_t y_stride = rows + 2, x_stride = columns + 3;
        const std::vector<T> w = stored<T>(random_row(rows * columns, 1));
        const Row x = random_row(kTexts * x_stride, 2);
        Row y(static_cast<size_t>(kTexts * y_stride), kUntouched);
        kernels.products(y.data(), y_stride, w.data(), rows, columns, x.data(), x_stride, kTexts);
        for (int64_t n = 0; n < kTexts; ++n) {
          Row alone(static_cast<size_t>(rows));
          kernels.products(alone.data(), rows, w.data(), rows, columns, x.data() + n * x_stride,
                           x_stride, 1);
          for (int64_t r = 0; r < rows; ++r) {
            double sum = 0;
            for (int64_t i = 0; i < columns; ++i) {
              sum += double{to_float(w[static_cast<size_t>(r * columns + i)])} *
                     double{x[static_cast<size_t>(n * x_stride + i)]};
            }
            const float found = y[static_cast<size_t>(n * y_stride + r)];
            CHECK(std::abs(double{found} - sum) <= 0x1p-22 * static_cast<double>(columns));
            CHECK(found == alone[static_cast<size_t>(r)]);
          }
          CHECK(y[static_cast<size_t>(n * y_stride + rows)] == kUntouched);
        }
      }
    }
  });
}

TEST_CASE_TEMPLATE("a tile has one score for each of its keys", T, float, bf16) {
  for_each_level<T>([](const DecodeKernels<T>& kernels) {
    for (const int64_t D : {1, 6, 64}) {
      for (const int64_t count : {1, 5, 16}) {
        const std::vector<T> tiles = stored<T>(random_row(count * D * kTile, 3));
        const Row q = random_row(D, 4);
        Row s(static_cast<size_t>(count * kTile) + 1, kUntouched);
        kernels.scores(s.data(), q.data(), tiles.data(), count, D);
        for (int64_t k = 0; k < count * kTile; ++k) {
          double sum = 0;
          for (int64_t d = 0; d < D; ++d) {
            const int64_t at = (k / kTile * D + d) * kTile + k % kTile;
            sum += double{q[static_cast<size_t>(d)]} *
                   double{to_float(tiles[static_cast<size_t>(at)])};
          }
          CHECK(std::abs(double{s[static_cast<size_t>(k)]} - sum) <=
                0x1p-22 * static_cast<double>(D));
        }
        CHECK(s.back() == kUntouched);
      }
    }
  });
}

TEST_CASE("weights are exponentials under a mask, less the largest score that counts") {
  for_each_level<float>([](const DecodeKernels<float>& kernels) {
    for (const int64_t n : {1, 15, 16, 70, 256}) {
      const auto size = static_cast<size_t>(n);
      Row scores = random_row(n, 5), mask = random_row(n, 6);
      for (float& s : scores) s *= 20;
      for (float& m : mask) m = std::max(0.0f, m);
      scores[size / 2] = 1000;
      mask[size / 2] = 0;  // which must not be the largest
      for (const float* m : std::vector<const float*>{nullptr, mask.data()}) {
        float top = -std::numeric_limits<float>::infinity();
        for (size_t i = 0; i < size; ++i) {
          if (m == nullptr || m[i] > 0) top = std::max(top, scores[i]);
        }
        CHECK(kernels.top(scores.data(), m, n) == top);
        if (std::isinf(top)) continue;
        Row s = scores;
        s.push_back(kUntouched);
        double sum = 0;
        const double found = kernels.exponentials(s.data(), m, top, n);
        for (size_t i = 0; i < size; ++i) {
          const double share = m == nullptr ? 1 : double{m[i]};
          const double expected =
              share == 0 ? 0 : share * std::exp(double{scores[i]} - double{top});
          CHECK(double{s[i]} == doctest::Approx(expected).epsilon(1e-6));
          sum += expected;
        }
        CHECK(found == doctest::Approx(sum).epsilon(1e-5));
        CHECK(s.back() == kUntouched);
      }
    }
  });
}

TEST_CASE_TEMPLATE("a mix adds weighted values to what is there", T, float, bf16) {
  for_each_level<T>([](const DecodeKernels<T>& kernels) {
    for (const int64_t D : {1, 6, 16, 75, 128}) {
      for (const int64_t rows : {1, 2, 33}) {
        const std::vector<T> v = stored<T>(random_row(rows * D, 7));
        const Row a = random_row(rows, 8), before = random_row(D, 9);
        Row o = before;
        o.push_back(kUntouched);
        kernels.mix(o.data(), a.data(), v.data(), rows, D);
        for (int64_t d = 0; d < D; ++d) {
          double sum = before[static_cast<size_t>(d)];
          for (int64_t j = 0; j < rows; ++j) {
            sum += double{a[static_cast<size_t>(j)]} *
                   double{to_float(v[static_cast<size_t>(j * D + d)])};
          }
          CHECK(std::abs(double{o[static_cast<size_t>(d)]} - sum) <=
                0x1p-22 * static_cast<double>(rows));
        }
        CHECK(o.back() == kUntouched);
      }
    }
  });
}

}  // namespace
}  // namespace adaspan
