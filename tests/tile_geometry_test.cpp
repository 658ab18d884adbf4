// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/tile_geometry.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

namespace adaspan {
namespace {

/// Spans of all tiles in turn.
struct Head {
  int64_t M;
  std::vector<int64_t> spans;
};
const std::vector<Head> kHeads = {
    {1, {1}},
    {2, {7}},
    {64, {33}},
    {65, {33, 33}},
    {130, {5, 900, 2}},
    {192, {150, 32, 150}},
    {200, {1, 1, 1, 300}},
    {129, {128, 64, 63}},
};

/// The keys that a tile's queries see, E each.
Rows seen(const Tile& tile) {
  return {tile.first_key, tile.first_key + tile.rows - 1 + tile.E};
}

}  // namespace

TEST_CASE("tiles cover all queries, 64 at a time") {
  for (const Head& head : kHeads) {
    CAPTURE(head.M);
    int64_t next = 0;
    for (const Tile& tile : head_tiles(head.M, head.spans).tiles) {
      CHECK(tile.begin == next);
      CHECK((tile.rows == kTileRows || tile.begin + tile.rows == head.M));
      next = tile.begin + tile.rows;
    }
    CHECK(next == head.M);
  }
}

TEST_CASE("a query sees the E steps before its own, E the even span of its tile") {
  for (const Head& head : kHeads) {
    CAPTURE(head.M);
    const HeadTiles all = head_tiles(head.M, head.spans);
    int64_t oldest = 0;
    for (std::size_t i = 0; i < all.tiles.size(); ++i) {
      const Tile& tile = all.tiles[i];
      CHECK(tile.E == (head.spans[i] + 1) / 2 * 2);
      const int64_t step = tile.first_key - all.back;  // the first that query tile.begin sees
      CHECK(step == tile.begin - tile.E);
      oldest = std::min(oldest, step);
    }
    CHECK(all.back == -oldest);
  }
}

TEST_CASE("keys are gathered once, in whole 16s, before a tile needs them") {
  for (const Head& head : kHeads) {
    CAPTURE(head.M);
    int64_t gathered = 0;
    for (const Tile& tile : head_tiles(head.M, head.spans).tiles) {
      CHECK(tile.fresh.begin == gathered);
      CHECK(tile.fresh.end % 16 == 0);
      gathered = tile.fresh.end;
      CHECK(seen(tile).begin >= 0);
      CHECK(seen(tile).end <= gathered);
    }
  }
}

TEST_CASE("a key is finished once, as soon as no later tile sees it") {
  for (const Head& head : kHeads) {
    CAPTURE(head.M);
    const HeadTiles all = head_tiles(head.M, head.spans);
    int64_t finished = 0;
    for (std::size_t i = 0; i < all.tiles.size(); ++i) {
      CHECK(all.tiles[i].finished.begin == finished);
      finished = all.tiles[i].finished.end;
      CHECK(finished <= all.tiles[i].fresh.end);
      bool next_is_seen = finished == all.back + head.M;
      for (std::size_t later = i + 1; later < all.tiles.size(); ++later) {
        CHECK(seen(all.tiles[later]).begin >= finished);
        next_is_seen = next_is_seen || seen(all.tiles[later]).begin == finished;
      }
      CHECK(next_is_seen);
    }
    CHECK(finished == all.back + head.M);
  }
}

TEST_CASE("rows of a tile with their margins lie apart, and blocks read within the tile") {
  for (int64_t widest : {2, 34, 128, 8192}) {
    for (int64_t margin : {16, 48}) {
      for (int64_t row_block : {4, 32}) {
        CAPTURE(widest);
        const int64_t P = row_block == 4 ? 0 : 50;
        const TileLayout layout(widest, P, margin, row_block);
        const int64_t row = 2 * margin + widest + (P > 0 ? P + margin : 0);
        CHECK(layout.length(widest) == row - 2 * margin);
        CHECK(layout.row(0) == 0);
        for (int64_t i = 1; i < kTileRows; ++i) CHECK(layout.row(i) >= layout.row(i - 1) + row);
        // Read with stride W, row i begins i columns later than row 0.
        CHECK(layout.row(5) - 5 * layout.stride == 5);
        // All columns of the last row, and a block's slack beyond.
        CHECK(kTileRows + row + kSlack <= layout.stride);
        CHECK(layout.row(kTileRows - 1) + row + kSlack <= layout.size());
        CHECK(layout.padded(1) == row_block);
        CHECK(layout.padded(row_block + 1) == 2 * row_block);
        CHECK(layout.padded(kTileRows) == kTileRows);
      }
    }
  }
}

TEST_CASE("rows of an odd stride do not share cache lines' sets") {
  for (int64_t n : {1, 16, 17, 256, 1000, 4096}) {
    const int64_t stride = odd_stride(n);
    CHECK(stride >= n);
    CHECK(stride < n + 32);
    std::set<int64_t> sets;  // of 64 that a cache of 4 KB ways has
    for (int64_t i = 0; i < 64; ++i) sets.insert(i * stride / 16 % 64);
    CHECK(sets.size() == 64);
  }
}

}  // namespace adaspan
