// SPDX-License-Identifier: MIT
// Longer than most files: every kind of product has its cases, over all types and strides.
#include "adaspan/ops/gemm.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "tests/support/bf16_ops.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

const std::vector<DType> kTypes = types_that_run();

double at(const ConstMatrix& m, int64_t i, int64_t j) {
  const int64_t place = i * m.row_stride + j * m.column_stride;
  if (m.type == DType::bf16) return to_float(static_cast<const bf16*>(m.data)[place]);
  return static_cast<const float*>(m.data)[place];
}

/// A random matrix that lies in a larger one, by rows or by columns.
struct Operand {
  Operand(int64_t rows, int64_t columns, bool transposed, int64_t gap, uint64_t seed,
          DType type = DType::f32)
      : values(random_tensor(
                   {(transposed ? columns : rows) + gap, (transposed ? rows : columns) + gap}, seed)
                   .converted(type)) {
    const int64_t lines = transposed ? columns : rows, width = transposed ? rows : columns;
    const ConstMatrix stored{matrix(std::as_const(values)).data, type, lines, width, width + gap};
    m = transposed ? stored.transposed() : stored;
  }
  Tensor values;
  ConstMatrix m;
};

/// a b (+ more, elementwise), and for each element what its rounding is measured by: the sum of the
/// magnitudes.
struct Exact {
  Exact(const ConstMatrix& a, const ConstMatrix& b) : c({a.rows, b.columns}), size(c) {
    for (int64_t i = 0; i < a.rows; ++i) {
      for (int64_t j = 0; j < b.columns; ++j) {
        for (int64_t l = 0; l < a.columns; ++l) {
          c(i, j) += at(a, i, l) * at(b, l, j);
          size(i, j) += std::abs(at(a, i, l) * at(b, l, j));
        }
      }
    }
  }
  void add(int64_t i, int64_t j, double value) {
    c(i, j) += value;
    size(i, j) += std::abs(value);
  }
  Array c, size;
};

/// Whether c is what it should be: to the rounding of sums of so many floats in any order, and if
/// it is bf16 to one more rounding, to 8 bits.
bool is_near(const ConstMatrix& c, const Exact& exact, int64_t terms) {
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.columns; ++j) {
      double bound = 0x1p-24 * static_cast<double>(terms + 1) * exact.size(i, j);
      if (c.type == DType::bf16) bound += 0x1p-8 * (std::abs(exact.c(i, j)) + bound);
      if (!(std::abs(at(c, i, j) - exact.c(i, j)) <= bound)) return false;
    }
  }
  return true;
}

bool is_product(const Tensor& c, const ConstMatrix& a, const ConstMatrix& b) {
  return is_near(matrix(c), Exact(a, b), a.columns);
}

Tensor product_of(const ConstMatrix& a, const ConstMatrix& b, DType type,
                  const ProductOptions& options = {}) {
  Tensor c({a.rows, b.columns}, type);
  gemm(matrix(c), a, b, options);
  return c;
}

/// Checks gemm for one set of extents and one layout; beyond its columns c must stay as it was.
void check_product(const Operand& a, const Operand& b, int64_t gap) {
  constexpr float kUntouched = 7;
  const int64_t m = a.m.rows, n = b.m.columns, stride = n + gap;
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(a.m.columns);
  for (DType type : kTypes) {
    if (a.m.type == DType::f32 && type == DType::bf16) continue;
    Tensor c = Tensor::filled({m, stride}, kUntouched).converted(type);
    Matrix part = matrix(c);
    part.columns = n;
    gemm(part, a.m, b.m);
    CHECK(is_near(part, Exact(a.m, b.m), a.m.columns));
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = n; j < stride; ++j) CHECK(at(matrix(std::as_const(c)), i, j) == kUntouched);
    }
  }
}

/// Whether 1, 2 and 3 threads give the same bits.
template <class Make>
bool threads_agree(const Make& make) {
  Tensor expected;
  bool agree = true;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    Tensor c = make();
    if (expected.empty()) expected = c.clone();
    agree = agree && same_bits(c, expected);
  }
  return agree;
}

Tensor sums_of(const ConstMatrix& a, const ConstMatrix& b) {
  Tensor c({a.columns, b.columns});
  gemm_long_sums(matrix(c), a, b);
  return c;
}

TEST_CASE("a product is right for all extents, strides, transposes and types") {
  for (int count : {1, 2}) {
    set_threads(count);
    for (DType type : kTypes) {
      for (int layout = 0; layout < 8; ++layout) {
        const bool a_transposed = layout & 1, b_transposed = layout & 2;
        const int64_t gap = layout & 4 ? 5 : 0;
        CAPTURE(layout);
        for (int64_t m : {1, 3, 17, 33, 150}) {
          for (int64_t n : {1, 16, 31}) {
            for (int64_t k : {1, 3, 32, 70}) {
              check_product(Operand(m, k, a_transposed, gap, 1, type),
                            Operand(k, n, b_transposed, gap, 2, type), gap);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("f32 weights beside bf16 are rounded first" * doctest::skip(!bf16_can_run())) {
  set_threads(2);
  for (int64_t m : {1, 20, 200}) {
    for (bool transposed : {false, true}) {
      const Operand a(m, 50, false, 0, 1, DType::bf16), b(50, 30, transposed, 3, 2);
      const Operand rounded(50, 30, transposed, 3, 2, DType::bf16);
      for (DType type : kTypes) {
        CHECK(is_product(product_of(a.m, b.m, type), a.m, rounded.m));
      }
    }
  }
}

TEST_CASE("bf16 products are f32 products of the widened values, rounded once" *
          doctest::skip(!bf16_can_run())) {
  set_threads(2);
  constexpr int64_t m = 700, k = 256, n = 130;
  const Operand a(m, k, false, 0, 1, DType::bf16), b(k, n, true, 0, 2, DType::bf16);
  const Tensor wide_a = a.values.converted(DType::f32), wide_b = b.values.converted(DType::f32);
  const Tensor wide = product_of(matrix(wide_a), matrix(wide_b).transposed(), DType::f32);
  // Sums of k floats in two orders.
  CHECK(relative_distance(product_of(a.m, b.m, DType::f32), Array(wide)) < 0x1p-24 * k);
  const Tensor narrow = product_of(a.m, b.m, DType::bf16).converted(DType::f32);
  for (int64_t i = 0; i < m * n; ++i) {
    CHECK(std::abs(narrow.data()[i] - wide.data()[i]) <=
          0x1.01p-8 * std::abs(wide.data()[i]) + 0x1p-24 * k);
  }
}

TEST_CASE("accumulate adds the product to what is there") {
  set_threads(2);
  constexpr int64_t n = 21, k = 50;
  for (int64_t m : {1, 37, 200}) {
    const Tensor before = random_tensor({m, n}, 3);
    for (DType type : kTypes) {
      const Operand a(m, k, false, 0, 1, type), b(k, n, false, 0, 2, type);
      Tensor c = before.converted(type);
      Exact exact(a.m, b.m);
      for (int64_t i = 0; i < m * n; ++i) {
        exact.add(i / n, i % n, at(matrix(std::as_const(c)), i / n, i % n));
      }
      gemm(matrix(c), a.m, b.m, {.accumulate = true});
      CHECK(is_near(matrix(std::as_const(c)), exact, k + 1));
    }
  }
}

TEST_CASE("the bias is added to every row, and relu comes after it") {
  set_threads(2);
  constexpr int64_t n = 23, k = 30;
  const Tensor bias = random_tensor({n}, 3, -3, 3);
  for (DType type : kTypes) {
    for (int64_t m : {1, 19, 90}) {
      const Operand a(m, k, false, 0, 1, type), b(k, n, true, 0, 2, type);
      for (bool biased : {false, true}) {
        Exact exact(a.m, b.m);
        for (int64_t i = 0; biased && i < m * n; ++i) exact.add(i / n, i % n, bias.data()[i % n]);
        for (bool relu : {false, true}) {
          const Tensor c =
              product_of(a.m, b.m, type, {.bias = biased ? bias.data() : nullptr, .relu = relu});
          for (int64_t i = 0; relu && i < m * n; ++i) exact.c[i] = std::max(0.0, exact.c[i]);
          CHECK(is_near(matrix(c), exact, k + 1));
        }
      }
    }
  }
}

TEST_CASE("a residual is added, with bias, accumulation and relu") {
  set_threads(2);
  constexpr int64_t n = 23, k = 30;
  const Tensor bias = random_tensor({n}, 3);
  for (DType type : kTypes) {
    for (int64_t m : {1, 19, 1100}) {
      const Operand a(m, k, false, 0, 1, type), b(k, n, true, 0, 2, type);
      const Operand residual(m, n, false, 4, 4, type);
      for (bool accumulate : {false, true}) {
        CAPTURE(accumulate);
        Tensor c = random_tensor({m, n}, 5).converted(type);
        Exact exact(a.m, b.m);
        for (int64_t i = 0; i < m * n; ++i) {
          exact.add(i / n, i % n, bias.data()[i % n]);
          exact.add(i / n, i % n, at(residual.m, i / n, i % n));
          if (accumulate) exact.add(i / n, i % n, at(matrix(std::as_const(c)), i / n, i % n));
          exact.c[i] = std::max(0.0, exact.c[i]);
        }
        gemm(matrix(c), a.m, b.m,
             {.bias = bias.data(), .residual = residual.m, .relu = true, .accumulate = accumulate});
        CHECK(is_near(matrix(std::as_const(c)), exact, k + 3));
      }
    }
  }
}

TEST_CASE("after() sees each band of rows once, and all of it is there") {
  for (int count : {1, 3}) {
    set_threads(count);
    for (int64_t m : {1, 2, 40, 3001}) {
      const Operand a(m, 64, false, 0, 1), b(64, 40, true, 0, 2);
      const Tensor expected = product_of(a.m, b.m, DType::f32);
      Tensor c = Tensor::filled({m, 40}, 1000);
      std::vector<std::atomic<int>> seen(static_cast<size_t>(m));
      std::atomic<int64_t> wrong = 0;
      gemm(matrix(c), a.m, b.m, {}, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          ++seen[static_cast<size_t>(i)];
          for (int64_t j = 0; j < 40; ++j) {
            if (c.data()[i * 40 + j] != expected.data()[i * 40 + j]) ++wrong;
          }
        }
      });
      CHECK(wrong == 0);
      for (const auto& times : seen) CHECK(times == 1);
    }
  }
}

TEST_CASE("one prepared right-hand side serves matrices of different heights at the same time") {
  set_threads(3);
  for (DType type : kTypes) {
    const Operand b(96, 70, true, 0, 2);
    const Product product(type, type, b.m, 1000);
    std::vector<Operand> a;
    for (int64_t i = 0; i < 60; ++i) {
      a.emplace_back(1 + i % 7 * 50, 96, false, i % 2 * 3, static_cast<uint64_t>(i), type);
    }
    std::vector<Tensor> c(a.size());
    parallel_for(static_cast<int64_t>(a.size()), [&](int64_t i) {
      const auto u = static_cast<size_t>(i);
      c[u] = Tensor({a[u].m.rows, 70}, type);
      product.run(matrix(c[u]), a[u].m);
    });
    const Operand same_type(96, 70, true, 0, 2, type);
    for (size_t i = 0; i < a.size(); ++i) CHECK(is_product(c[i], a[i].m, same_type.m));
  }
}

TEST_CASE("sums over no rows are zeros") {
  for (Isa level : {Isa::avx2, best_isa()}) {
    if (level > best_isa()) continue;
    set_isa(level);
    for (DType type : kTypes) {
      RowSums sums(3, 5, 1);
      sums.run(0, {nullptr, type, 0, 3, 3}, {nullptr, type, 0, 5, 5});
      Tensor c = Tensor::filled({3, 5}, 7);
      sums.finish(0, matrix(c));
      for (float value : c.values()) CHECK(value == 0);
    }
  }
}

TEST_CASE("sums over rows are a^T b for all extents and types") {
  for (int count : {1, 2}) {
    set_threads(count);
    for (DType type : kTypes) {
      for (int64_t m : {1, 4, 33, 70}) {
        for (int64_t n : {1, 16, 31, 70}) {
          for (int64_t rows : {1, 40, 600, 2500}) {
            if (rows > 40 && n != 31) continue;
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(rows);
            const Operand a(rows, m, false, 0, 1, type), b(rows, n, false, 0, 2, type);
            Tensor c = sums_of(a.m, b.m);
            Exact exact(a.m.transposed(), b.m);
            CHECK(is_near(matrix(std::as_const(c)), exact, rows));
            gemm_long_sums(matrix(c), a.m, b.m, true);
            for (int64_t i = 0; i < m * n; ++i) exact.c[i] *= 2, exact.size[i] *= 2;
            CHECK(is_near(matrix(std::as_const(c)), exact, rows + 1));
          }
        }
      }
    }
  }
}

TEST_CASE("some rows of a sum over rows are those of the whole") {
  set_threads(2);
  for (int64_t m : {20, 100}) {
    constexpr int64_t n = 50, rows = 90;
    const Operand a(rows, m, false, 0, 1), b(rows, n, false, 0, 2);
    const Tensor whole = sums_of(a.m, b.m);
    RowSums sums(m, n, 1);
    sums.run(0, a.m, b.m);
    Tensor c = Tensor::filled({m, n}, 3);
    sums.finish(5, matrix(c).rows_of(5, 12));
    for (int64_t i = 0; i < m * n; ++i) {
      CHECK(c.data()[i] == (i / n >= 5 && i / n < 12 ? whole.data()[i] : 3));
    }
    sums.finish(0, matrix(c).rows_of(0, 5), true);
    for (int64_t i = 0; i < 5 * n; ++i) CHECK(c.data()[i] == 3 + whole.data()[i]);
  }
}

TEST_CASE("pieces of a sum over rows are of some size, and not too many") {
  for (int64_t rows : {1, 31, 500, 1000, 2112, 16384, 32768, 100'000}) {
    const int64_t step = RowSums::rows_per_piece(rows), pieces = (rows + step - 1) / step;
    CAPTURE(rows);
    CHECK(pieces >= std::min<int64_t>(4, rows / 256));
    CHECK(pieces <= 16);
    CHECK((pieces == 1 || step >= 256));
  }
}

TEST_CASE("a product without rows or columns is nothing, an empty sum is zero") {
  const Tensor values = random_tensor({3, 4}, 1);
  Tensor c = Tensor::filled({3, 4}, 7);
  const auto of = [&](int64_t rows, int64_t columns) {
    return matrix(values.data(), rows, columns);
  };
  gemm(matrix(c.data(), 0, 4), of(0, 3), of(3, 4));
  gemm(matrix(c.data(), 3, 0), of(3, 4), of(4, 0));
  gemm_long_sums(matrix(c.data(), 0, 4), of(3, 0), of(3, 4));
  gemm_long_sums(matrix(c.data(), 3, 0), of(4, 3), of(4, 0));
  for (float value : c.values()) CHECK(value == 7);

  gemm(matrix(c), of(3, 0), of(0, 4), {.accumulate = true});
  gemm_long_sums(matrix(c), of(0, 3), of(0, 4), true);
  for (float value : c.values()) CHECK(value == 7);
  gemm(matrix(c), of(3, 0), of(0, 4));
  for (float value : c.values()) CHECK(value == 0);
  c = Tensor::filled({3, 4}, 7);
  gemm_long_sums(matrix(c), of(0, 3), of(0, 4));
  for (float value : c.values()) CHECK(value == 0);
}

TEST_CASE("any number of threads gives the same bits, for one row and for many") {
  for (DType type : kTypes) {
    for (int64_t m : {1, 65, 3001}) {
      for (int64_t k : {33, 512}) {
        for (int64_t n : {8, 65}) {
          CAPTURE(m);
          CAPTURE(k);
          CAPTURE(n);
          const Operand a(m, k, false, 0, 1, type), b(k, n, n == 8, 0, 2);
          CHECK(threads_agree([&] { return product_of(a.m, b.m, type); }));
        }
      }
    }
  }
}

TEST_CASE("any number of threads gives the same bits of sums over rows") {
  for (DType type : kTypes) {
    for (int64_t m : {1, 8, 17, 300}) {
      for (int64_t n : {1, 8, 65}) {
        CAPTURE(m);
        CAPTURE(n);
        const Operand a(5000, m, false, 0, 1, type), b(5000, n, false, 0, 2, type);
        CHECK(threads_agree([&] { return sums_of(a.m, b.m); }));
      }
    }
  }
}

/// start or nothing, + a b + what else the options say, and the same by a product that was prepared
/// for `rows` rows.
bool is_product_with(const Operand& a, const Operand& b, const Operand& b_rounded, int64_t gap,
                     int64_t rows, const ProductOptions& options) {
  Exact exact(a.m, b_rounded.m);
  Operand c(a.m.rows, b.m.columns, false, gap, 9);
  for (int64_t i = 0; i < c.m.rows; ++i) {
    for (int64_t j = 0; j < c.m.columns; ++j) {
      if (options.accumulate) exact.add(i, j, at(c.m, i, j));
      if (options.bias) exact.add(i, j, options.bias[j]);
      if (options.residual) exact.add(i, j, at(*options.residual, i, j));
      if (options.relu) exact.c(i, j) = std::max(0.0, exact.c(i, j));
    }
  }
  const Matrix to{c.values.data(), DType::f32, c.m.rows, c.m.columns, c.m.row_stride};
  Product(a.m.type, DType::f32, b.m, rows, options).run(to, a.m);
  return is_near(c.m, exact, a.m.columns + 3);
}

TEST_CASE("a plan that was kept serves only the products it was made for") {
  const int64_t m = 20, k = 24, n = 40;
  for (int options = 0; options < 16; ++options) {
    for (int layout = 0; layout < 64; ++layout) {
      const auto gap = [&](int bit) { return layout & bit ? int64_t{5} : int64_t{0}; };
      const auto seed = static_cast<uint64_t>(5 * layout + options);
      const Operand b(k, n, layout & 2, gap(8), seed + 1), more(m, n, false, gap(16), seed + 2);
      const Tensor bias = random_tensor({n}, seed + 3);
      ProductOptions how{.relu = (options & 4) != 0, .accumulate = (options & 8) != 0};
      if (options & 1) how.bias = bias.data();
      if (options & 2) how.residual = more.m;
      CAPTURE(options);
      CAPTURE(layout);
      for (DType type : kTypes) {
        const Operand a(m, k, layout & 1, gap(4), seed, type);
        const Operand b_rounded(k, n, layout & 2, gap(8), seed + 1, type);
        // b as it lies (if it is of a's type), and packed; then with kept plans alone.
        for (int64_t rows : {1, 100, 1, 100}) {
          CHECK(is_product_with(a, b, b_rounded, gap(32), rows, how));
        }
      }
    }
  }
}

TEST_CASE("more products than plans are kept are all right") {
  set_threads(2);
  for (int round = 0; round < 2; ++round) {
    for (int64_t m = 1; m <= 12; ++m) {
      for (int64_t n = 1; n <= 100; ++n) {
        const Operand a(m, 2, false, 0, 1), b(2, n, false, 0, 2);
        CHECK(is_product(product_of(a.m, b.m, DType::f32), a.m, b.m));
      }
    }
  }
}

TEST_CASE("a large right-hand side is packed in pieces of its rows, or of its columns") {
  set_threads(2);
  for (DType type : kTypes) {
    for (const auto& [k, n] : std::vector<std::pair<int64_t, int64_t>>{
             {300, 70}, {70, 300}, {513, 130}, {130, 513}, {384, 96}, {128, 48}}) {
      for (bool transposed : {false, true}) {
        const Operand a(100, k, false, 0, 1, type), b(k, n, transposed, 0, 2, type);
        check_product(a, b, 0);
      }
    }
  }
}

TEST_CASE("products may run at the same time") {
  set_threads(3);
  constexpr int64_t m = 40, n = 70, k = 90, times = 60;
  for (DType type : kTypes) {
    std::vector<Operand> a, b, long_a, long_b;
    for (int64_t i = 0; i < times; ++i) {
      const auto seed = static_cast<uint64_t>(2 * i);
      a.emplace_back(m, k, false, 0, seed, type);
      b.emplace_back(k, n, true, 0, seed + 1, type);
      long_a.emplace_back(k, m, false, 0, seed, type);
      long_b.emplace_back(k, n, false, 0, seed + 1, type);
    }
    std::atomic<int> wrong = 0;
    parallel_for(5 * times, [&](int64_t i) {
      const auto u = static_cast<size_t>(i % times);
      if (!is_product(product_of(a[u].m, b[u].m, DType::f32), a[u].m, b[u].m)) ++wrong;
      const ConstMatrix at = long_a[u].m.transposed();
      if (!is_product(sums_of(long_a[u].m, long_b[u].m), at, long_b[u].m)) ++wrong;
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("a product that oneDNN cannot plan throws") {
  Tensor c({3, 3});
  const Tensor x = random_tensor({3, 3}, 1);
  ConstMatrix a = matrix(x);
  Matrix to = matrix(c);
  a.rows = to.rows = -1;
  CHECK_THROWS_WITH_AS(Product(DType::f32, DType::f32, matrix(x), 3).run(to, a),
                       doctest::Contains("[gemm] expected a product of f32 [-1, 3] and f32 [3, 3] "
                                         "that oneDNN can plan; got: "),
                       Error);
  ConstMatrix b = matrix(x);
  a.rows = b.rows = -1;
  CHECK_THROWS_WITH_AS(sum_over_rows(matrix(c), a, b),
                       doctest::Contains("[gemm] expected a product of f32 [3, -1] and f32 [-1, 3] "
                                         "that oneDNN can plan; got: "),
                       Error);
}

TEST_CASE("the level of products cannot be changed after the first one") {
  const Tensor x = random_tensor({3, 3}, 1);
  product_of(matrix(x), matrix(x), DType::f32);
  CHECK_NOTHROW(limit_products_to_isa());  // no limit
  if (best_isa() == Isa::plain) return;
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(limit_products_to_isa(),
                       "[gemm] expected the level plain to be set before the first product; got "
                       "one before",
                       Error);
  set_isa(best_isa());
}

}  // namespace
}  // namespace adaspan
