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
        keys({problem.K(), problem.D, problem.P}),
        x{qkv,
          memory_kv,
          p,
          problem.kind == SpanProblem::fixed ? nullptr : &z,
          problem.P > 0 ? &keys : nullptr,
          nullptr},
        layout(200, problem.P, 16, 4),
        masks(x, options, layout, kernels.rows),
        tiles(head_tiles(problem.M, masks.tile_spans(0, 0))) {}

  /// Made together with those before it, as a tile's rows are.
  SoftmaxRow row(int64_t t, int64_t b = 0) {
    const int64_t first = t / kRowsTogether * kRowsTogether;
    const Tile& tile = tiles.tiles[static_cast<size_t>(t / kTileRows)];
    rows = masks.rows(b, 0, tile, first % kTileRows);
    CHECK(rows.E == tile.E);
    CHECK(rows.persistent == layout.persistent(tile.E));
    CHECK(rows.P == layout.P);
    E = tile.E;
    return rows.row[t - first];
  }

  SpanAttentionOptions options;
  Tensor qkv, memory_kv, p, z, keys;
  SpanAttentionValues x;
  SpanKernelTables kernels = span_kernels();
  TileLayout layout;
  RowMasks masks;
  HeadTiles tiles;
  SoftmaxRows rows{};
  int64_t E = 0;  ///< of the tile that the row is in
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
      for (int64_t j = 0; j < s.E; ++j) {
        const bool seen = s.E - j <= s.options.effective_spans[0];
        const double raw = (32 + z - static_cast<double>(s.E - j - 1)) / 32;
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
    for (int64_t j = 0; j < s.E; ++j) CHECK(row.mask[j] == (t - (s.E - j) >= -3 ? 1 : 0));
  }
}

TEST_CASE("a weight's random number is that of its distance in a row of S") {
  SpanProblem p{.kind = SpanProblem::adaptive, .z = {3.5f}, .M = 3, .B = 2, .S = 41, .R = 8};
  CHECK(Setup(p).row(0).keep == nullptr);
  p.dropout = {.rate = 0.5f, .key = {.seed = 3}, .first_sequence = 1, .batch = 4};
  for (float z : {3.5f, 41.0f}) {  // E is even, S odd: the widest row has a column beyond
    for (int64_t P : {0, 9}) {
      p.z = {z};
      p.P = P;
      Setup s(p);
      const SoftmaxRow row = s.row(2, 1);
      const auto keep = [&](int64_t place) {  // of S distances and P vectors
        const auto number = static_cast<uint64_t>((2 * 4 + 1 + 1) * (p.S + P) + place);
        return random_uniform(p.dropout.key, number) >= 0.5 ? 2 : 0;
      };
      for (int64_t distance = 1; distance <= std::min(s.E, p.S); ++distance) {
        CHECK(row.keep[s.E - distance] == keep(p.S - distance));
      }
      for (int64_t j = 0; j < P; ++j) {
        CHECK(row.keep[s.layout.persistent(s.E) + j] == keep(p.S + j));
      }
    }
  }
}

}  // namespace adaspan
