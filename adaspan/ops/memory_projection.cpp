// SPDX-License-Identifier: MIT
// y_h = x_h w_h^T      dw_h = dy_h^T x_h      (x_h: the last steps_h steps; w_h: wk_h above wv_h)
// All heads are cut into pieces of so many steps, counted from the newest: where segments begin has
// no part in it, so a memory that was saved and loaded as one gives the same bits.
#include "adaspan/ops/memory_projection.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/gemm.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerPiece = 1024;

/// The sizes, and what there is to do: pieces of heads.
struct Work {
  struct Piece {
    int64_t head, index;  // piece `index` of the head, counted from the newest
    int64_t begin, end;   // steps of the memory
    int64_t y_begin;      // steps of y before it
  };

  Work(const std::vector<MemorySegment>& memory, const std::vector<int64_t>& memory_steps) {
    for (const MemorySegment& segment : memory) C += segment.steps;
    B = memory[0].value->shape()[1];
    H = memory[0].value->shape()[2];
    widest = *std::ranges::max_element(memory_steps);
    length = std::max<int64_t>(1, kRowsPerPiece / std::max<int64_t>(B, 1));
    for (size_t h = 0; h < memory_steps.size(); ++h) {
      const int64_t oldest = C - memory_steps[h];
      int64_t index = 0;
      for (int64_t end = C; end > oldest; end -= length, ++index) {
        const int64_t begin = std::max(oldest, end - length);
        pieces.push_back({static_cast<int64_t>(h), index, begin, end, total + begin - oldest});
      }
      pieces_of_head.push_back(index);
      total += memory_steps[h];
    }
    // The same steps for different heads one after another: they are then still in cache.
    std::ranges::stable_sort(pieces, {}, &Piece::index);
  }

  /// Of the products of one direction, forward or backward.
  double flops(int64_t D) const { return 2.0 * total * B * H * 2 * D; }
  double bytes(int64_t D, DType type) const {
    const auto heads = static_cast<int64_t>(pieces_of_head.size());
    return static_cast<double>(size_of(type)) * total * B * (H + 2 * D) + 8.0 * heads * D * H;
  }

  int64_t C = 0, B = 0, H = 0, total = 0;
  int64_t widest = 0;  // steps
  int64_t length = 0;  // of a piece, in steps
  std::vector<Piece> pieces;
  std::vector<int64_t> pieces_of_head;
};

/// The steps of all pieces: where they lie, or copied if a piece is in more than one segment.
class Steps {
 public:
  Steps(const std::vector<MemorySegment>& memory, const Work& work) : work_(work) {
    const int64_t count = (work.widest + work.length - 1) / work.length;
    rows_.resize(static_cast<size_t>(count));
    copies_.resize(static_cast<size_t>(count));
    parallel_for(count, [&](int64_t index) {
      const int64_t end = work.C - index * work.length;
      find(memory, index, std::max(work.C - work.widest, end - work.length), end);
    });
  }

  ConstMatrix of(const Work::Piece& piece) const {
    const ConstMatrix& rows = rows_[static_cast<size_t>(piece.index)];  // of the widest head
    return rows.rows_of(rows.rows - (piece.end - piece.begin) * work_.B, rows.rows);
  }

 private:
  void find(const std::vector<MemorySegment>& memory, int64_t index, int64_t begin, int64_t end) {
    const int64_t B = work_.B;
    Tensor& copy = copies_[static_cast<size_t>(index)];
    ConstMatrix& rows = rows_[static_cast<size_t>(index)];
    int64_t first = 0;  // of a segment
    for (const MemorySegment& segment : memory) {
      const int64_t from = std::max(begin, first), to = std::min(end, first + segment.steps);
      const int64_t offset = segment.begin - first;
      first += segment.steps;
      if (from >= to) continue;
      rows = matrix(*segment.value).rows_of((from + offset) * B, (to + offset) * B);
      if (from == begin && to == end) return;
      if (copy.empty()) copy = Tensor({end - begin, B, work_.H}, rows.type);
      std::memcpy(matrix(copy).rows_of((from - begin) * B, (to - begin) * B).data, rows.data,
                  static_cast<size_t>(rows.rows * rows.columns) * size_of(rows.type));
    }
    rows = matrix(std::as_const(copy));
  }

  const Work& work_;
  std::vector<ConstMatrix> rows_;  // of each piece of the head that looks back furthest
  std::vector<Tensor> copies_;
};

/// [K*2D, H]: for each head its rows of wk and then those of wv.
Tensor by_head(const Tensor& wk, const Tensor& wv, int64_t K) {
  const int64_t H = wk.shape()[1], part = wk.elements() / K;  // of one head
  Tensor w({2 * wk.shape()[0], H});
  for (int64_t h = 0; h < K; ++h) {
    std::copy_n(wk.data() + h * part, part, w.data() + 2 * h * part);
    std::copy_n(wv.data() + h * part, part, w.data() + (2 * h + 1) * part);
  }
  return w;
}

/// The rows of a piece of work in the type that products take: where they lie, or a copy that lasts
/// as long as this.
class PieceRows {
 public:
  PieceRows(const ConstMatrix& rows, DType type) : rows_(rows) {
    if (rows.type == type) return;
    wide_ = Tensor({rows.rows, rows.columns});
    const bf16* const from = static_cast<const bf16*>(rows.data);  // rows without gaps
    std::transform(from, from + wide_.elements(), wide_.data(), [](bf16 x) { return to_float(x); });
    rows_ = matrix(std::as_const(wide_));
  }
  const ConstMatrix& rows() const { return rows_; }

 private:
  Tensor wide_;
  ConstMatrix rows_;
};

void check(const std::vector<MemorySegment>& memory, const Variable& wk, const Variable& wv,
           const std::vector<int64_t>& memory_steps, DType type) {
  require(!memory.empty(), "[memory_projection] expected at least one segment; got none");
  int64_t C = 0;
  for (const MemorySegment& segment : memory) {
    const Shape &shape = segment.value->shape(), &first = memory[0].value->shape();
    require(shape.rank() == 3 && first.rank() == 3 && shape[1] == first[1] &&
                shape[2] == first[2] && segment.value->type() == memory[0].value->type(),
            "[memory_projection] expected segments [.,B,H] of one type; got {} {} and {} {}",
            first.text(), name(memory[0].value->type()), shape.text(), name(segment.value->type()));
    require(segment.begin >= 0 && segment.steps >= 0 && segment.begin + segment.steps <= shape[0],
            "[memory_projection] expected a segment within {} steps; got {} from {}", shape[0],
            segment.steps, segment.begin);
    C += segment.steps;
  }
  const auto K = static_cast<int64_t>(memory_steps.size());
  require(K > 0 && wk.shape().rank() == 2 && wk.shape() == wv.shape() &&
              wk.shape()[1] == memory[0].value->shape()[2] && wk.shape()[0] % K == 0,
          "[memory_projection] expected memory [C,B,H] and wk and wv [K*D,H] for {} heads; got {}, "
          "{} and {}",
          K, memory[0].value->shape().text(), wk.shape().text(), wv.shape().text());
  require(wk.type() == DType::f32 && wv.type() == DType::f32,
          "[memory_projection] expected weights of type f32; got {} and {}", name(wk.type()),
          name(wv.type()));
  const DType own = memory[0].value->type();
  require(
      type == own || (own == DType::bf16 && type == DType::f32),
      "[memory_projection] expected a result of the memory's type, or f32 from bf16; got {} from "
      "{}",
      name(type), name(own));
  for (int64_t steps : memory_steps) {
    require(steps >= 0 && steps <= C,
            "[memory_projection] expected memory steps in [0, {}]; got {}", C, steps);
  }
}

}  // namespace

Variable memory_projection(Tape& tape, const std::vector<MemorySegment>& memory, const Variable& wk,
                           const Variable& wv, const std::vector<int64_t>& memory_steps,
                           std::optional<DType> result_type) {
  const DType type = result_type.value_or(memory.empty() ? DType::f32 : memory[0].value->type());
  check(memory, wk, wv, memory_steps, type);
  const auto K = static_cast<int64_t>(memory_steps.size());
  const int64_t D = wk.shape()[0] / K;
  const Work work(memory, memory_steps);

  const Timed timed("memory products", work.flops(D), work.bytes(D, type));
  Tensor y({work.total, work.B, 2 * D}, type);
  const Tensor w = by_head(wk.value(), wv.value(), K);
  std::vector<std::unique_ptr<Product>> products(memory_steps.size());  // of each head
  parallel_for(K, [&](int64_t h) {
    const ConstMatrix w_h = matrix(w).rows_of(2 * D * h, 2 * D * (h + 1));
    const auto head = static_cast<size_t>(h);
    if (memory_steps[head] == 0) return;
    products[head] =
        std::make_unique<Product>(type, type, w_h.transposed(), memory_steps[head] * work.B);
  });
  const Steps past(memory, work);
  parallel_for(static_cast<int64_t>(work.pieces.size()), [&](int64_t i) {
    const Work::Piece& piece = work.pieces[static_cast<size_t>(i)];
    const int64_t y_end = piece.y_begin + piece.end - piece.begin;
    products[static_cast<size_t>(piece.head)]->run(
        matrix(y).rows_of(piece.y_begin * work.B, y_end * work.B),
        PieceRows(past.of(piece), type).rows());
  });

  // saved: memory
  return tape.record("memory_projection", {wk, wv}, std::move(y),
                     [dwk = wk.grad(), dwv = wv.grad(), memory, work, D, K](const Tensor& dy) {
                       const Timed timed_backward("memory products backward", work.flops(D),
                                                  work.bytes(D, dy.type()));
                       std::vector<std::unique_ptr<RowSums>> sums;  // of each head
                       for (int64_t pieces : work.pieces_of_head) {
                         sums.push_back(std::make_unique<RowSums>(2 * D, work.H, pieces));
                       }
                       const Steps again(memory, work);
                       parallel_for(static_cast<int64_t>(work.pieces.size()), [&](int64_t i) {
                         const Work::Piece& piece = work.pieces[static_cast<size_t>(i)];
                         const int64_t y_end = piece.y_begin + piece.end - piece.begin;
                         sums[static_cast<size_t>(piece.head)]->run(
                             piece.index,
                             matrix(dy).rows_of(piece.y_begin * work.B, y_end * work.B),
                             PieceRows(again.of(piece), dy.type()).rows());
                       });
                       const auto finish = [&](const GradientRef& gradient, int64_t first) {
                         if (!gradient.wanted()) return;
                         gradient.add_by([&](Tensor& sum, bool accumulate) {
                           parallel_for(K, [&](int64_t h) {
                             sums[static_cast<size_t>(h)]->finish(
                                 first, matrix(sum).rows_of(D * h, D * (h + 1)), accumulate);
                           });
                         });
                       };
                       finish(dwk, 0);
                       finish(dwv, D);
                     });
}

}  // namespace adaspan
