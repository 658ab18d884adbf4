// SPDX-License-Identifier: MIT
#include "ops/gemm.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

using Product = void (*)(Matrix, ConstMatrix, ConstMatrix, const GemmOptions&);

double at(const ConstMatrix& m, int64_t i, int64_t j) {
  return m.data[i * m.row_stride + j * m.column_stride];
}

/// A random matrix that lies in a larger one, by rows or by columns.
struct Operand {
  Operand(int64_t rows, int64_t columns, bool transposed, int64_t gap, uint64_t seed)
      : values(random_tensor({rows + gap, columns + gap}, seed)) {
    const int64_t lines = transposed ? columns : rows, width = transposed ? rows : columns;
    const ConstMatrix stored{values.data(), lines, width, width + gap};
    m = transposed ? stored.transposed() : stored;
  }
  Tensor values;
  ConstMatrix m;
};

/// Whether c is the product, to the rounding of a sum of k floats in any order.
bool is_product(const Tensor& c, int64_t stride, const ConstMatrix& a, const ConstMatrix& b) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.columns; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t l = 0; l < a.columns; ++l) {
        sum += at(a, i, l) * at(b, l, j);
        magnitude += std::abs(at(a, i, l) * at(b, l, j));
      }
      const double bound = 0x1p-24 * static_cast<double>(a.columns + 1) * magnitude;
      if (!(std::abs(c.data()[i * stride + j] - sum) <= bound)) return false;
    }
  }
  return true;
}

/// Checks gemm for one set of extents and one layout; beyond its columns c must stay as it was.
void check_product(Product product, const Operand& a, const Operand& b, int64_t gap) {
  constexpr float kUntouched = 7;
  const int64_t m = a.m.rows, n = b.m.columns, stride = n + gap;
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(a.m.columns);
  Tensor c = Tensor::filled({m, stride}, kUntouched);
  product({c.data(), m, n, stride}, a.m, b.m, {});
  CHECK(is_product(c, stride, a.m, b.m));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = n; j < stride; ++j) CHECK(c.data()[i * stride + j] == kUntouched);
  }
}

/// Whether 1, 2 and 3 threads give the same bits; checks the first row of the product, too.
bool threads_agree(Product product, const Operand& a, const Operand& b) {
  const int64_t m = a.m.rows, n = b.m.columns;
  Tensor expected;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    Tensor c({m, n});
    product(matrix(c.data(), m, n), a.m, b.m, {});
    if (expected.empty()) expected = c.clone();
    if (!same_bits(c, expected)) return false;
  }
  ConstMatrix first = a.m;
  first.rows = 1;
  return is_product(expected, n, first, b.m);
}

}  // namespace

TEST_CASE("a product is right for all extents, strides and transposes") {
  for (Product product : {gemm, gemm_long_sums}) {
    for (int count : {1, 2}) {
      set_threads(count);
      for (int layout = 0; layout < 8; ++layout) {
        const bool a_transposed = layout & 1, b_transposed = layout & 2;
        const int64_t gap = layout & 4 ? 5 : 0;
        CAPTURE(layout);
        for (int64_t m : {1, 3, 17, 33}) {
          for (int64_t n : {1, 16, 31}) {
            for (int64_t k : {1, 3, 32, 70}) {
              check_product(product, Operand(m, k, a_transposed, gap, 1),
                            Operand(k, n, b_transposed, gap, 2), gap);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("accumulate adds the product to what is there") {
  set_threads(2);
  constexpr int64_t m = 37, n = 21, k = 50;
  const Operand a(m, k, true, 0, 1), b(k, n, false, 0, 2);
  const Tensor before = random_tensor({m, n}, 3);
  for (Product product : {gemm, gemm_long_sums}) {
    Tensor c = before.clone();
    product(matrix(c.data(), m, n), a.m, b.m, {.accumulate = true});
    for (int64_t i = 0; i < c.elements(); ++i) c.data()[i] -= before.data()[i];
    Array expected({m, n});
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t l = 0; l < k; ++l) expected(i, j) += at(a.m, i, l) * at(b.m, l, j);
      }
    }
    CHECK(relative_distance(c, expected) < 1e-6);
  }
}

TEST_CASE("the bias is added to every row, and relu comes after it") {
  set_threads(2);
  constexpr int64_t n = 23, k = 30;
  const Tensor bias = random_tensor({n}, 3, -3, 3);
  for (int64_t m : {1, 19}) {
    const Operand a(m, k, false, 0, 1), b(k, n, true, 0, 2);
    Tensor plain({m, n});
    gemm(matrix(plain.data(), m, n), a.m, b.m);
    for (bool relu : {false, true}) {
      Tensor c({m, n});
      gemm(matrix(c.data(), m, n), a.m, b.m, {.bias = bias.data(), .relu = relu});
      Tensor only_relu({m, n});
      gemm(matrix(only_relu.data(), m, n), a.m, b.m, {.relu = relu});
      for (int64_t i = 0; i < m * n; ++i) {
        const float sum = plain.data()[i] + bias.data()[i % n];
        CHECK(c.data()[i] == doctest::Approx(relu && sum < 0 ? 0 : sum).epsilon(1e-6));
        CHECK(only_relu.data()[i] == (relu && plain.data()[i] < 0 ? 0 : plain.data()[i]));
      }
    }
  }
}

TEST_CASE("a product without rows or columns is nothing, an empty sum is zero") {
  const Tensor values = random_tensor({3, 4}, 1);
  Tensor c = Tensor::filled({3, 4}, 7);
  for (Product product : {gemm, gemm_long_sums}) {
    product(matrix(c.data(), 0, 4), matrix(values.data(), 0, 3), matrix(values.data(), 3, 4), {});
    product(matrix(c.data(), 3, 0), matrix(values.data(), 3, 4), matrix(values.data(), 4, 0), {});
    for (float value : c.values()) CHECK(value == 7);
  }
  for (Product product : {gemm, gemm_long_sums}) {
    const ConstMatrix a = matrix(values.data(), 0, 3).transposed(), b = matrix(values.data(), 0, 4);
    c = Tensor::filled({3, 4}, 7);
    product(matrix(c.data(), 3, 4), a, b, {.accumulate = true});
    for (float value : c.values()) CHECK(value == 7);
    product(matrix(c.data(), 3, 4), a, b, {});
    for (float value : c.values()) CHECK(value == 0);
  }
}

TEST_CASE("any number of threads gives the same bits, for one row and for many") {
  for (int64_t m : {1, 65, 3001}) {
    for (int64_t k : {33, 512}) {
      for (bool transposed : {false, true}) {
        CAPTURE(m);
        CAPTURE(k);
        CAPTURE(transposed);
        const Operand a(m, k, false, 0, 1);
        CHECK(threads_agree(gemm, a, Operand(k, 65, transposed, 0, 2)));
        CHECK(threads_agree(gemm, a, Operand(k, 8, transposed, 0, 3)));
      }
    }
  }
}

TEST_CASE("any number of threads gives the same bits of a product of few rows and long sums") {
  for (int64_t m : {1, 2, 8, 16, 17, 33, 300}) {
    for (int64_t n : {1, 8, 65}) {
      CAPTURE(m);
      CAPTURE(n);
      CHECK(threads_agree(gemm_long_sums, Operand(m, 5000, true, 0, 1),
                          Operand(5000, n, false, 0, 2)));
    }
  }
}

TEST_CASE("products may run at the same time") {
  set_threads(3);
  constexpr int64_t m = 40, n = 70, k = 90;
  const Operand a(m, k, true, 0, 1), b(k, n, true, 0, 2);
  Tensor expected({m, n});
  gemm(matrix(expected.data(), m, n), a.m, b.m);
  std::atomic<int> wrong = 0;
  parallel_for(300, [&](int64_t) {
    Tensor c({m, n});
    gemm(matrix(c.data(), m, n), a.m, b.m);
    if (!is_product(c, n, a.m, b.m)) ++wrong;
  });
  CHECK(is_product(expected, n, a.m, b.m));
  CHECK(wrong == 0);
}

}  // namespace adaspan
