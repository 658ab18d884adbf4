// SPDX-License-Identifier: MIT
#include "adaspan/ops/workspace.h"

#include <algorithm>
#include <numeric>

#include "adaspan/core/cpu.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/gemm.h"
#include "adaspan/ops/kernels/span_kernels.h"
#include "adaspan/ops/linear_cross_entropy.h"
#include "adaspan/ops/tiles/tile_geometry.h"

namespace adaspan {
namespace {

double buffer(double elements, size_t size = sizeof(float)) {
  const double bytes = elements * static_cast<double>(size);
  constexpr double kMost = 1e15;  // no machine has so many
  return bytes < kMost ? static_cast<double>(reserved_for(static_cast<size_t>(bytes))) : bytes;
}

/// So many of them as threads work at once.
double at_work(int64_t pieces) {
  return static_cast<double>(std::min<int64_t>(threads(), pieces));
}

/// RowSums of m x n: the pieces' sums, and where it copies the rows at work.
double row_sums(double m, double n, int64_t pieces, double rows, DType type) {
  const bool spread = type == DType::f32 && isa() <= Isa::avx2;
  const double copied = std::min<double>(rows, RowSums::kRowsCopied);
  const double copies = spread ? buffer(copied * (m + n + 32)) : 0;
  return buffer(static_cast<double>(pieces) * m * n) + at_work(pieces) * copies;
}

constexpr int64_t kRowsPerPiece = 1024;  // as memory_projection cuts its work

int64_t steps_per_piece(const AttentionSizes& n) {
  return std::max<int64_t>(1, kRowsPerPiece / std::max<int64_t>(n.B, 1));
}

/// Pieces that lie in two segments are copied; those of another type widened, while at work.
double copied_pieces(const AttentionSizes& n) {
  const int64_t pieces = chunk_count(*std::ranges::max_element(n.memory_steps), steps_per_piece(n));
  const double numbers = static_cast<double>(steps_per_piece(n) * n.B) * n.H();
  const double widened = n.memory_type == n.type ? 0 : at_work(pieces * n.K) * buffer(numbers);
  return static_cast<double>(std::min(pieces, n.segments)) * buffer_bytes(numbers, n.memory_type) +
         widened;
}

/// Sizes that all tiles of a call share, as PassSetup has them, and the buffers of one thread.
template <class T>
struct TileBuffers {
  explicit TileBuffers(const AttentionSizes& n)
      : drops(n.dropout),
        width(round_up(n.D, span_kernels().products<T>().width_block)),
        widest(round_up(*std::ranges::max_element(n.effective_spans), 2)),
        keys(widest + round_up(n.M, 2) + kSlack),
        layout(widest, n.P, span_kernels().products<T>().margin,
               span_kernels().products<T>().row_block),
        tile(layout.size()),
        vectors(n.P > 0 ? 2.0 * n.K : 0),
        operand(2 * buffer(width * odd_stride(n.P + kSlack), sizeof(T))) {}

  /// Positions and persistent vectors.
  double operands() const {
    return 2 * buffer(width * odd_stride(widest + kSlack), sizeof(T)) + vectors * operand;
  }
  double columns() const { return buffer(odd_stride(keys) * width, sizeof(T)); }
  /// Of what only bf16 copies into another layout.
  double copies(double numbers) const { return kGroup<T> > 1 ? buffer(numbers, sizeof(T)) : 0; }
  /// Keys as rows and columns, queries, scores, masks.
  double scores() const {
    return buffer(keys * width, sizeof(T)) + columns() + buffer(kTileRows * width, sizeof(T)) +
           buffer(tile) + 2 * kRowsTogether * buffer(widest + 16) +
           (drops ? kRowsTogether + 1 : 0) * buffer(layout.length(widest + 16));
  }
  double forward_pass() const {
    return scores() + copies(keys * width) + copies(tile) + buffer(kTileRows * width);
  }
  double backward_pass() const {
    return scores() + columns() + copies(keys * width) + 2 * copies(kTileRows * width) +
           buffer(kTileRows * width, sizeof(T)) + buffer(tile) +
           (vectors > 0 ? 5 : 4) * copies(tile) + buffer(kTileRows * width) +
           2 * buffer(keys * width);
  }

  bool drops;
  double width;
  int64_t widest, keys;
  TileLayout layout;
  double tile;              // numbers
  double vectors, operand;  // sets of persistent vectors, and what one takes
};

/// Of the gradients of persistent vectors, in parts and summed.
double persistent_sums(const AttentionSizes& n, int64_t parts, double width) {
  if (n.P == 0) return 0;
  const int64_t step = chunk_count(n.B * n.K, parts);
  const int64_t heads = n.B % step == 0 ? 1 : std::min(n.K, (step - 2) / n.B + 2);
  return buffer(static_cast<double>(parts * heads * 2 * (n.P + kSlack)) * width) +
         2 * buffer(static_cast<double>(n.H()) * n.P);
}

}  // namespace

double buffer_bytes(double elements, DType type) {
  return buffer(elements, size_of(type));
}

double linear_workspace(const LinearSizes& n) {
  const double weights = static_cast<double>(n.in) * n.out;
  return (n.stacked ? buffer(weights) : 0) + buffer_bytes(weights, n.x);
}

double linear_backward_workspace(const LinearSizes& n) {
  const int64_t step = RowSums::rows_per_piece(n.rows), pieces = chunk_count(n.rows, step);
  const double y = static_cast<double>(n.rows) * n.out;
  return linear_workspace(n) + row_sums(n.out, n.in, pieces, step, n.x) + buffer(pieces * n.out) +
         (n.x == n.y ? 0 : buffer_bytes(y, n.x));
}

double linear_cross_entropy_workspace(const LogitSizes& n) {
  const int64_t columns = std::min(LogitPieces::kForwardColumns, n.V);
  const int64_t rows = std::min(LogitPieces::kForwardRows, n.rows);
  const auto y = static_cast<double>(rows * columns);
  return at_work(chunk_count(n.rows, rows)) * buffer(y) +
         buffer_bytes(static_cast<double>(columns) * n.in, n.x);
}

double linear_cross_entropy_backward_workspace(const LogitSizes& n) {
  const LogitPieces cut = logit_pieces(n.rows, n.in);
  const int64_t columns = std::min(cut.columns_per_chunk, n.V), step = cut.rows_per_piece;
  const int64_t pieces = chunk_count(cut.rows_per_group, step);
  const auto y = static_cast<double>(step * columns);
  const double rounded = n.x == DType::f32 ? 0 : buffer_bytes(y, n.x);
  return at_work(pieces) * (buffer(y) + rounded) +
         2 * buffer_bytes(static_cast<double>(columns) * n.in, n.x) +
         row_sums(columns, n.in, pieces, step, n.x) +
         buffer(static_cast<double>(pieces * columns)) +
         buffer(static_cast<double>(cut.rows_per_group) * n.in);
}

double layer_norm_backward_workspace(int64_t rows, int64_t H) {
  constexpr int64_t kRowsPerChunk = 128;
  return 2 * buffer(static_cast<double>(chunk_count(rows, kRowsPerChunk)) * H);
}

double AttentionSizes::total_memory_steps() const {
  return std::accumulate(memory_steps.begin(), memory_steps.end(), 0.0);
}

double memory_projection_workspace(const AttentionSizes& n) {
  const double weights = 2.0 * n.H() * n.H();
  return buffer(weights) + buffer_bytes(weights, n.type) + copied_pieces(n);
}

double memory_projection_backward_workspace(const AttentionSizes& n) {
  double bytes = copied_pieces(n);
  for (int64_t steps : n.memory_steps) {
    const int64_t pieces = chunk_count(steps, steps_per_piece(n));
    bytes += row_sums(2 * n.D, n.H(), pieces, kRowsPerPiece, n.type);
  }
  return bytes;
}

double span_attention_workspace(const AttentionSizes& n) {
  return with_type(n.type, [&]<class T>(T) {
    const TileBuffers<T> tiles(n);
    return tiles.operands() + at_work(n.B * n.K) * tiles.forward_pass();
  });
}

double span_attention_backward_workspace(const AttentionSizes& n) {
  return with_type(n.type, [&]<class T>(T) {
    const TileBuffers<T> tiles(n);
    constexpr int64_t kParts = 32;  // at most, of the pairs of sequence and head
    const int64_t parts = chunk_count(n.B * n.K, chunk_count(n.B * n.K, kParts));
    const double dp = buffer(parts * (tiles.widest + kSlack) * tiles.width);
    return tiles.operands() + at_work(parts) * tiles.backward_pass() + dp +
           buffer(static_cast<double>(n.D) * n.S) + persistent_sums(n, parts, tiles.width);
  });
}

}  // namespace adaspan
