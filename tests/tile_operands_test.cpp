// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/tile_operands.h"
#include "adaspan/ops/tiles/vector_operands.h"

#include <doctest/doctest.h>

#include "tests/support/span_problem.h"

namespace adaspan {
namespace {

constexpr int64_t kWidth = 32;  // of D = 20
const SpanProblem kProblem{.kind = SpanProblem::fixed, .z = {30, 7}, .M = 70, .D = 20, .C = 12};

/// Number (row, column) of a right operand whose groups go along the rows.
template <class T>
float read(const T* data, int64_t stride, int64_t row, int64_t column) {
  constexpr int64_t G = kGroup<T>;
  return to_float(data[(row / G * stride + column) * G + row % G]);
}

/// Numbers of 8 bits, which a bf16 holds; no two neighbours are the same.
Tensor numbers(Shape shape, DType type) {
  Tensor x(std::move(shape));
  for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = static_cast<float>(1 + i % 251);
  return x.converted(type);
}

template <class T>
struct Setup {
  Setup()
      : options(kProblem.options()),
        qkv(numbers({70, 2, 3 * 2 * 20}, dtype_of<T>)),
        memory_kv(numbers({12 + 7, 2, 2 * 20}, dtype_of<T>)),
        p(Tensor::zeros({20, 150})),
        x{qkv, memory_kv, p, nullptr},
        head(x, options, kWidth, kernels.rows) {}

  /// k (0) or v (1) of step t of head h, sequence b; zeros where there is none
  float step(int64_t part, int64_t t, int64_t b, int64_t h, int64_t d) const {
    const int64_t steps = h == 0 ? 12 : 7;
    if (d >= 20 || t >= 70 || t < -steps) return 0;
    if (t >= 0) return to_float(qkv.data<T>()[(t * 2 + b) * 120 + (1 + part) * 40 + h * 20 + d]);
    const int64_t row = (h == 0 ? 0 : 12) + steps + t;
    return to_float(memory_kv.data<T>()[(row * 2 + b) * 40 + part * 20 + d]);
  }

  SpanAttentionOptions options;
  Tensor qkv, memory_kv, p;
  SpanAttentionValues x;
  SpanKernelTables kernels = span_kernels();
  HeadData<T> head;
};

template <class T>
void check_keys(int64_t b, int64_t h) {
  Setup<T> s;
  constexpr int64_t kBack = 16, kStride = 112;
  s.head.start(b, h, kBack);
  for (KeyPart part : {KeyPart::key, KeyPart::value}) {
    const int64_t which = part == KeyPart::key ? 0 : 1;
    Scratch<T> rows(kStride * kWidth), columns(kWidth * kStride);
    GroupedRows<T> grouped(kStride, kWidth, s.kernels.rows);
    for (const Rows fresh : {Rows{0, 80}, Rows{80, 96}}) {
      s.head.gather(rows, part, fresh);
      s.head.transpose(columns, kStride, rows, fresh);
      const T* by_rows = grouped.of(rows, fresh);
      for (int64_t key = 0; key < fresh.end; ++key) {
        for (int64_t d = 0; d < kWidth; ++d) {
          const float expected = s.step(which, key - kBack, b, h, d);
          CHECK(to_float(rows.data()[key * kWidth + d]) == expected);
          CHECK(read(columns.data(), kStride, d, key) == expected);
          CHECK(read(by_rows, kWidth, key, d) == expected);
        }
      }
    }
  }
}

template <class T>
void check_results(int64_t b, int64_t h) {
  Setup<T> s;
  constexpr int64_t kBack = 4;  // less than the memory's 12 and 7
  s.head.start(b, h, kBack);
  SpanAttentionGradients d{Tensor::zeros({70, 2, 120}, dtype_of<T>),
                           numbers({19, 2, 40}, dtype_of<T>), Tensor(), Tensor()};
  const Tensor before = d.memory_kv.clone();
  Scratch<float> sums(80 * kWidth);
  for (int64_t i = 0; i < 80 * kWidth; ++i) sums.data()[i] = static_cast<float>(1 + i % 127);
  s.head.clear_unseen(d);
  s.head.write(d, KeyPart::value, sums, {0, kBack + 70});
  const float factors[] = {0.5f, 2};
  s.head.write(d.qkv, {.begin = 68, .rows = 2, .E = 2, .first_key = 0, .fresh = {}, .finished = {}},
               sums, factors);
  const int64_t steps = h == 0 ? 12 : 7, first = h == 0 ? 0 : 12;
  for (int64_t step = 0; step < 19; ++step) {
    for (int64_t i = 0; i < 2 * 40; ++i) {
      const int64_t place = step * 80 + i, t = step - first - steps, column = i % 40;
      float expected = to_float(before.data<T>()[place]);
      if (i / 40 == b && t >= -steps && t < 0) {
        if (t < -kBack) expected = 0;
        if (t >= -kBack && column >= 20) expected = sums.data()[(t + kBack) * kWidth + column - 20];
      }
      CHECK(to_float(d.memory_kv.data<T>()[place]) == expected);
    }
  }
  for (int64_t column = 0; column < 20; ++column) {
    const T* row = d.qkv.data<T>() + (69 * 2 + b) * 120 + h * 20 + column;
    CHECK(to_float(row[0]) == 2 * sums.data()[kWidth + column]);              // q
    CHECK(to_float(row[40]) == 0);                                            // k
    CHECK(to_float(row[80]) == sums.data()[(69 + kBack) * kWidth + column]);  // v
  }
}

}  // namespace

TEST_CASE("keys and values are gathered from memory and block, as rows, columns and groups") {
  for (int64_t b : {0, 1}) {
    for (int64_t h : {0, 1}) {
      check_keys<float>(b, h);
      check_keys<bf16>(b, h);
    }
  }
}

TEST_CASE("keys are turned into columns where they lie evenly, and by way of rows elsewhere") {
  const auto check = [&]<class T>(T) {
    // D = width: what lies in memory is turned as it is
    const SpanProblem problem{
        .kind = SpanProblem::fixed, .z = {60, 60}, .M = 70, .D = kWidth, .C = 40};
    const SpanAttentionOptions options = problem.options();
    const Tensor qkv = numbers({70, 2, 3 * 2 * kWidth}, dtype_of<T>);
    const Tensor memory_kv = numbers({80, 2, 2 * kWidth}, dtype_of<T>),
                 p = Tensor::zeros({kWidth, 150});
    const SpanAttentionValues x{qkv, memory_kv, p, nullptr};
    HeadData<T> head(x, options, kWidth, span_kernels().rows);
    constexpr int64_t kBack = 48, kKeys = 128, kStride = 144;  // 8 keys are missing, 40 in memory
    head.start(1, 1, kBack);
    for (KeyPart part : {KeyPart::key, KeyPart::value}) {
      Scratch<T> rows(kKeys * kWidth), columns(kWidth * kStride), unused(kKeys * kWidth);
      head.gather(rows, part, {0, kKeys});
      for (Rows keys : {Rows{0, 16}, {16, 32}, {32, 64}, {64, 112}, {112, kKeys}}) {
        head.gather_columns(columns, kStride, part, keys, unused);
      }
      for (int64_t key = 0; key < kKeys; ++key) {
        for (int64_t d = 0; d < kWidth; ++d) {
          CHECK(read(columns.data(), kStride, d, key) == to_float(rows.data()[key * kWidth + d]));
        }
      }
    }
  };
  check(float{});
  check(bf16{});
}

TEST_CASE("gradients go where the values came from; memory that no query sees gets zeros") {
  for (int64_t b : {0, 1}) {
    for (int64_t h : {0, 1}) {
      check_results<float>(b, h);
      check_results<bf16>(b, h);
    }
  }
}

TEST_CASE("queries of a tile are its rows, with zeros below") {
  Setup<float> s;
  s.head.start(1, 1, 0);
  Scratch<float> q(kTileRows * kWidth);
  std::fill_n(q.data(), kTileRows * kWidth, 0.0f);
  for (const Tile& tile : head_tiles(70, {8, 8}).tiles) {
    s.head.gather(q, s.qkv, tile);
    for (int64_t i = 0; i < kTileRows; ++i) {
      for (int64_t d = 0; d < 20; ++d) {
        const int64_t t = tile.begin + i;
        const float expected = t < 70 ? s.qkv.data()[(t * 2 + 1) * 120 + 20 + d] : 0;
        CHECK(q.data()[i * kWidth + d] == expected);
      }
    }
  }
}

TEST_CASE("positions end at distance 1, and are zeros beyond S") {
  const Tensor p = numbers({20, 33}, DType::f32);
  const auto check = [&]<class T>(T) {
    for (int64_t widest : {12, 34}) {  // S is odd: a column beyond it
      const PositionOperands<T> positions(p, widest, kWidth);
      for (int64_t E : {int64_t{2}, widest}) {
        for (int64_t j = 0; j < E; ++j) {
          for (int64_t d = 0; d < kWidth; ++d) {
            const int64_t distance = E - j;
            const float expected = d < 20 && distance <= 33 ? p.data()[d * 33 + 33 - distance] : 0;
            CHECK(read(positions.columns(E), positions.stride(), d, j) == expected);
            CHECK(read(positions.rows(E), kWidth, j, d) == expected);
          }
        }
      }
    }
  };
  check(float{});
  check(bf16{});
}

}  // namespace adaspan
