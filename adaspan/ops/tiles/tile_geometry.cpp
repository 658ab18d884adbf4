// SPDX-License-Identifier: MIT
#include "adaspan/ops/tiles/tile_geometry.h"

#include <algorithm>
#include <cassert>

namespace adaspan {

HeadTiles head_tiles(int64_t M, const std::vector<int64_t>& spans) {
  assert(static_cast<int64_t>(spans.size()) == tile_count(M));
  HeadTiles head;
  for (int64_t E : spans) {
    const int64_t begin = static_cast<int64_t>(head.tiles.size()) * kTileRows;
    head.tiles.push_back({.begin = begin,
                          .rows = std::min(kTileRows, M - begin),
                          .E = round_up(E, 2),
                          .first_key = 0,
                          .fresh = {},
                          .finished = {}});
    head.back = std::max(head.back, head.tiles.back().E - begin);
  }

  int64_t gathered = 0;
  for (Tile& tile : head.tiles) {
    tile.first_key = head.back + tile.begin - tile.E;
    // Up to a whole block of the transposition.
    tile.fresh = {gathered, round_up(head.back + tile.begin + tile.rows, 16)};
    gathered = tile.fresh.end;
  }

  // A later tile may look back further than an earlier one: what the last of them needs decides.
  int64_t needed = head.back + M;
  for (auto tile = head.tiles.rbegin(); tile != head.tiles.rend(); ++tile) {
    tile->finished.end = needed;
    needed = std::min(needed, tile->first_key);
  }
  int64_t finished = 0;
  for (Tile& tile : head.tiles) {
    tile.finished.begin = finished;
    finished = tile.finished.end;
  }
  return head;
}

TileLayout::TileLayout(int64_t widest, int64_t P_, int64_t margin_, int64_t row_block_)
    : P(P_),
      margin(margin_),
      row_block(row_block_),
      stride(odd_stride(kTileRows + length(widest) + 2 * margin + kSlack)) {}

/// Whole cache lines; one row more than there are, for blocks that read on.
int64_t TileLayout::size() const {
  return round_up((kTileRows + 1) * (stride + 1) + 2 * margin, 32);
}

}  // namespace adaspan
