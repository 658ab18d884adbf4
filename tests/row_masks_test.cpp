// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/row_masks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "adaspan/core/random.h"
#include "tests/support/span_problem.h"

namespace adaspan {
namespace {

struct Setup {
  explicit Setup(const SpanProblem& problem)
      : options(problem.options()),
        qkv({problem.M, problem.B, 3 * problem.K() * problem.D}),
        memory_kv({0}),
        p(Tensor::zeros({problem.D, problem.S})),
        z(problem.spans()),
        x{qkv, memory_kv, p, problem.kind == SpanProblem::fixed ? nullptr : &z},
        masks(x, options, kernels.rows),
        tiles(head_tiles(problem.M, masks.tile_spans(0, 0))) {}

  /// Made together with those before it, as a tile's rows are.
  SoftmaxRow row(int64_t t, int64_t b = 0) {
    const int64_t first = t / kRowsTogether * kRowsTogether;
    const Tile& tile = tiles.tiles[static_cast<size_t>(t / kTileRows)];
    rows = masks.rows(b, 0, tile, first % kTileRows, 1);
    CHECK(rows.E == tile.E);
    return rows.row[t - first];
  }

  SpanAttentionOptions options;
  Tensor qkv, memory_kv, p, z;
  SpanAttentionValues x;
  SpanKernelTables kernels = span_kernels();
  RowMasks masks;
  HeadTiles tiles;
  SoftmaxRows rows{};
};

}  // namespace

TEST_CASE("a tile looks as far back as its widest query") {
  SpanProblem p{.kind = SpanProblem::fixed, .z = {77}, .M = 70};
  CHECK(Setup(p).masks.tile_spans(1, 0) == std::vector<int64_t>{77, 77});
  p.kind = SpanProblem::adaptive;
  p.z = {20.3f, 2};
  CHECK(Setup(p).masks.tile_spans(1, 1) == std::vector<int64_t>{35, 35});  // floor(2 + 32) + 1
  p.kind = SpanProblem::dynamic;
  p.M = 192;
  p.z = {90};
  p.narrow_middle = true;
  const std::vector<int64_t> spans = Setup(p).masks.tile_spans(1, 0);
  REQUIRE(spans.size() == 3);
  CHECK(spans[0] > 100);
  CHECK(spans[1] == 33);
  CHECK(spans[2] > 100);
}

TEST_CASE("a row's mask is that of its own query, zero beyond the head's effective span") {
  const SpanProblem p{.kind = SpanProblem::dynamic, .z = {40}, .M = 70, .B = 2};
  Setup s(p);
  for (int64_t t : {0, 1, 63, 64, 69}) {
    for (int64_t b : {0, 1}) {
      const SoftmaxRow row = s.row(t, b);
      const double z = s.z.data()[t * 2 + b];
      for (int64_t j = 0; j < s.rows.E; ++j) {
        const bool seen = s.rows.E - j <= s.options.effective_spans[0];
        const double raw = (32 + z - static_cast<double>(s.rows.E - j - 1)) / 32;
        CHECK(row.mask[j] == doctest::Approx(seen ? std::clamp(raw, 0.0, 1.0) : 0).epsilon(1e-5));
      }
    }
  }
  CHECK(s.rows.factor == doctest::Approx(1 / std::sqrt(32.0)));
}

TEST_CASE("steps that no memory is left of have no weight where missing ones are skipped") {
  const SpanProblem p{.kind = SpanProblem::fixed, .z = {20}, .M = 70, .C = 3, .skip_missing = true};
  Setup s(p);
  for (int64_t t : {0, 5, 16, 17, 69}) {
    const SoftmaxRow row = s.row(t);
    for (int64_t j = 0; j < s.rows.E; ++j) CHECK(row.mask[j] == (t - (s.rows.E - j) >= -3 ? 1 : 0));
  }
}

TEST_CASE("a weight's random number is that of its distance in a row of S") {
  SpanProblem p{.kind = SpanProblem::adaptive, .z = {3.5f}, .M = 3, .B = 2, .S = 41, .R = 8};
  CHECK(Setup(p).row(0).keep == nullptr);
  p.dropout = {.rate = 0.5f, .key = {.seed = 3}, .first_sequence = 1, .batch = 4};
  for (float z : {3.5f, 41.0f}) {  // E is even, S odd: the widest row has a column beyond
    p.z = {z};
    Setup s(p);
    const SoftmaxRow row = s.row(2, 1);
    for (int64_t distance = 1; distance <= std::min(s.rows.E, p.S); ++distance) {
      const auto number = static_cast<uint64_t>((2 * 4 + 1 + 1) * p.S + p.S - distance);
      const bool kept = random_uniform(p.dropout.key, number) >= 0.5;
      CHECK(row.keep[s.rows.E - distance] == (kept ? 2 : 0));
    }
  }
}

}  // namespace adaspan
