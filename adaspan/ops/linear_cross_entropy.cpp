// SPDX-License-Identifier: MIT
// y = x w^T + b      loss_r = log_sum_r - y_{r,target_r},   log_sum_r = log(sum_v e^y_rv)
// dy_rv = (e^(y_rv - log_sum_r) - [v == target_r]) dloss_r
// dx = dy w          dw = dy^T x          db = sum over rows of dy
// The log-sums are saved; from them each piece of dy follows from the same piece of y alone.
#include "adaspan/ops/linear_cross_entropy.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/gemm.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/log_add.h"

namespace adaspan {
namespace {

// Numbers in all pieces of y that are there at once, and in sums beside them: 16 MB of each.
constexpr int64_t kMostNumbers = 1 << 22;
constexpr int64_t kMostGroupRows = 16384, kMostColumns = 1024, kFewestColumns = 64;

/// Columns begin .. end-1 of y, whose weights are rows first .. of a part.
struct Chunk {
  int64_t begin, end;
  int64_t part, first;
  int64_t columns() const { return end - begin; }
};

std::vector<Chunk> chunks_of(const std::vector<Value>& weights, int64_t columns) {
  std::vector<Chunk> chunks;
  int64_t column = 0;
  for (size_t p = 0; p < weights.size(); ++p) {
    const int64_t out = weights[p]->shape()[0];
    for (int64_t row = 0; row < out; row += columns) {
      const int64_t count = std::min(columns, out - row);
      chunks.push_back({column, column + count, static_cast<int64_t>(p), row});
      column += count;
    }
  }
  return chunks;
}

/// w^T of a chunk, [in, columns], and its bias.
ConstMatrix weights_of(const std::vector<Value>& w, const Chunk& chunk) {
  const ConstMatrix all = matrix(*w[static_cast<size_t>(chunk.part)]);
  return all.rows_of(chunk.first, chunk.first + chunk.columns());
}
const float* bias_of(const std::vector<Value>& b, const Chunk& chunk) {
  return b[static_cast<size_t>(chunk.part)]->data() + chunk.first;
}

/// What the op reads and saves.
struct Operands {
  Value x;
  std::vector<Value> w, b;
  Value targets;
  int64_t rows, in;
};

/// Sets log_sum and loss of each row.
void forward(Tensor& log_sum, Tensor& loss, const Operands& o) {
  const ConstMatrix x = matrix(*o.x);
  const int32_t* const targets = o.targets->data<int32_t>();
  std::vector<double> sums(static_cast<size_t>(o.rows), -std::numeric_limits<double>::infinity());
  std::vector<float> target_logits(static_cast<size_t>(o.rows));
  for (const Chunk& chunk : chunks_of(o.w, LogitPieces::kForwardColumns)) {
    const Product logits(x.type, DType::f32, weights_of(o.w, chunk).transposed(), o.rows,
                         {.bias = bias_of(o.b, chunk)});
    parallel_chunks(o.rows, LogitPieces::kForwardRows, [&](int64_t begin, int64_t end) {
      Tensor y({end - begin, chunk.columns()});
      logits.run(matrix(y), x.rows_of(begin, end));
      for (int64_t r = begin; r < end; ++r) {
        const float* const row = y.data() + (r - begin) * chunk.columns();
        const auto at = static_cast<size_t>(r);
        sums[at] = log_add(sums[at], row_kernels().log_sum_exp(row, chunk.columns()));
        if (targets[r] >= chunk.begin && targets[r] < chunk.end) {
          target_logits[at] = row[targets[r] - chunk.begin];
        }
      }
    });
  }
  for (size_t r = 0; r < sums.size(); ++r) {
    log_sum.data()[r] = static_cast<float>(sums[r]);
    loss.data()[r] =
        targets[r] == kNoTarget ? 0 : static_cast<float>(sums[r] - double{target_logits[r]});
  }
}

void check_parts(const Variable& x, const std::vector<LinearPart>& parts) {
  require(!parts.empty() && x.shape().rank() >= 1 && x.shape()[-1] > 0,
          "[linear_cross_entropy] expected x [..., in] with in of at least 1, and at least one "
          "weight; got {} and {}",
          x.shape().text(), parts.size());
  for (const auto& [w, b] : parts) {
    require(w.shape().rank() == 2 && w.shape()[1] == x.shape()[-1] && w.shape()[0] > 0 &&
                b.shape() == Shape{w.shape()[0]},
            "[linear_cross_entropy] expected x [..., in], w [out, in] and b [out]; got {}, {} and "
            "{}",
            x.shape().text(), w.shape().text(), b.shape().text());
    require(w.type() == DType::f32 && b.type() == DType::f32,
            "[linear_cross_entropy] expected weights and bias of type f32; got {} and {}",
            name(w.type()), name(b.type()));
  }
}

void check_targets(const Tensor& targets, int64_t rows, int64_t V) {
  require(targets.elements() == rows, "[linear_cross_entropy] expected {} targets; got {}", rows,
          targets.elements());
  for (int32_t id : targets.values<int32_t>()) {
    require(id == kNoTarget || (id >= 0 && id < V),
            "[linear_cross_entropy] expected targets in [0, {}); got {}", V, id);
  }
}

struct LinearCrossEntropyBackward {
  GradientRef dx;
  std::vector<GradientRef> dw, db;
  // saved: x, weights, bias and targets, each row's log-sum
  Operands o;
  Value log_sum;

  void operator()(const Tensor& dloss) const;

 private:
  /// Whatever is asked for of rows begin .. end-1; `first`: there are none before.
  void group(const Tensor& dloss, int64_t begin, int64_t end, Tensor* dx_sum,
             bool accumulate) const;
  /// Of one chunk of columns, too: its gradients of w and b, and what it adds to dx.
  void chunk_of_group(const Chunk& chunk, const LogitPieces& cut, const Tensor& dloss,
                      int64_t begin, int64_t end, Tensor* dx_part, Tensor* dw_sum, bool dw_add,
                      Tensor* db_sum, bool db_add) const;
};

}  // namespace

LogitPieces logit_pieces(int64_t rows, int64_t in) {
  LogitPieces cut{};
  // Whole pieces, and few different extents of products.
  const int64_t most = std::clamp<int64_t>(kMostNumbers / in, 1024, kMostGroupRows);
  cut.rows_per_group = std::clamp<int64_t>(rows, 1, most / 1024 * 1024);
  // RowSums' own pieces, or a quarter of few rows: a rare cluster has V large and rows few.
  const int64_t quarter =
      std::max<int64_t>(32, (chunk_count(cut.rows_per_group, 4) + 31) / 32 * 32);
  cut.rows_per_piece = std::min(RowSums::rows_per_piece(cut.rows_per_group), quarter);
  const int64_t pieces = chunk_count(cut.rows_per_group, cut.rows_per_piece);
  const int64_t columns =
      std::min({kMostColumns, kMostNumbers / cut.rows_per_group, kMostNumbers / (pieces * in)});
  cut.columns_per_chunk = std::max(kFewestColumns, columns / kFewestColumns * kFewestColumns);
  return cut;
}

Variable linear_cross_entropy(Tape& tape, const Variable& x, const std::vector<LinearPart>& parts,
                              const Tensor& targets) {
  check_parts(x, parts);
  LinearCrossEntropyBackward backward;
  backward.dx = x.grad();
  Operands& o = backward.o;
  o.x = x.shared_value();
  o.rows = x.shape().rows();
  o.in = x.shape()[-1];
  std::vector<Variable> inputs{x};
  int64_t V = 0;
  for (const auto& [w, b] : parts) {
    V += w.shape()[0];
    o.w.push_back(w.shared_value());
    o.b.push_back(b.shared_value());
    backward.dw.push_back(w.grad());
    backward.db.push_back(b.grad());
    inputs.push_back(w);
    inputs.push_back(b);
  }
  check_targets(targets, o.rows, V);
  o.targets = share(targets.clone());

  const double terms = static_cast<double>(o.rows) * static_cast<double>(V);
  const Timed timed("linear_cross_entropy", (2.0 * static_cast<double>(o.in) + 20) * terms,
                    4.0 * static_cast<double>(o.in * V) + static_cast<double>(o.x->bytes()));
  Tensor log_sum({o.rows});
  std::vector<int64_t> extents = x.shape().extents();
  extents.pop_back();
  Tensor loss{Shape(std::move(extents))};
  forward(log_sum, loss, o);
  backward.log_sum = share(std::move(log_sum));
  return tape.record("linear_cross_entropy", std::move(inputs), std::move(loss),
                     std::move(backward));
}

// Backward, with dy = (e^(y - log_sum) - [v == target]) dloss of each piece of y = x w^T + b:
//   dx = dy w      dw = dy^T x      db = sum over rows of dy
namespace {

/// Calls write(&sum, accumulate) if the gradient is asked for, else write(nullptr, false).
template <class Write>
void write_if_wanted(const GradientRef& gradient, const Write& write) {
  if (!gradient.wanted()) return write(nullptr, false);
  gradient.add_by([&](Tensor& sum, bool accumulate) { write(&sum, accumulate); });
}

/// rows begin .. of dx = or += part
void add_rows(Tensor& dx, int64_t begin, const Tensor& part, bool accumulate) {
  with_type(dx.type(), [&]<class T>(T) {
    T* const to = dx.data<T>() + begin * part.shape()[1];
    parallel_chunks(part.elements(), 1 << 14, [&](int64_t i, int64_t end) {
      if (!accumulate) return row_kernels<T>().narrow(to + i, part.data() + i, end - i);
      for (; i < end; ++i) to[i] = from_float<T>(to_float(to[i]) + part.data()[i]);
    });
  });
}

void LinearCrossEntropyBackward::operator()(const Tensor& dloss) const {
  int64_t V = 0;
  for (const Value& w : o.w) V += w->shape()[0];
  const double terms = static_cast<double>(o.rows) * static_cast<double>(V);
  const Timed timed("linear_cross_entropy backward", (6.0 * static_cast<double>(o.in) + 20) * terms,
                    12.0 * static_cast<double>(o.in * V) + static_cast<double>(o.x->bytes()));
  const int64_t step = logit_pieces(o.rows, o.in).rows_per_group;
  write_if_wanted(dx, [&](Tensor* dx_sum, bool accumulate) {
    // Also of no rows: then the gradients are zeros.
    for (int64_t begin = 0; begin == 0 || begin < o.rows; begin += step) {
      group(dloss, begin, std::min(o.rows, begin + step), dx_sum, accumulate);
    }
  });
}

void LinearCrossEntropyBackward::group(const Tensor& dloss, int64_t begin, int64_t end,
                                       Tensor* dx_sum, bool accumulate) const {
  const LogitPieces cut = logit_pieces(o.rows, o.in);
  const std::vector<Chunk> chunks = chunks_of(o.w, cut.columns_per_chunk);
  Tensor dx_part;  // in f32, whatever x is: it is the sum over all chunks
  if (dx_sum) dx_part = Tensor({end - begin, o.in});
  auto chunk = chunks.begin();
  for (size_t part = 0; part < o.w.size(); ++part) {
    const auto first = chunk;
    while (chunk != chunks.end() && chunk->part == static_cast<int64_t>(part)) ++chunk;
    write_if_wanted(dw[part], [&](Tensor* dw_sum, bool dw_add) {
      write_if_wanted(db[part], [&](Tensor* db_sum, bool db_add) {
        for (auto c = first; c != chunk; ++c) {
          chunk_of_group(*c, cut, dloss, begin, end, dx_sum ? &dx_part : nullptr, dw_sum, dw_add,
                         db_sum, db_add);
        }
      });
    });
  }
  if (dx_sum) add_rows(*dx_sum, begin, dx_part, accumulate);
}

void LinearCrossEntropyBackward::chunk_of_group(const Chunk& chunk, const LogitPieces& cut,
                                                const Tensor& dloss, int64_t begin, int64_t end,
                                                Tensor* dx_part, Tensor* dw_sum, bool dw_add,
                                                Tensor* db_sum, bool db_add) const {
  const int64_t rows = end - begin, n = chunk.columns(), step = cut.rows_per_piece;
  const int64_t pieces = chunk_count(rows, step);
  const ConstMatrix w = weights_of(o.w, chunk), x = matrix(*o.x).rows_of(begin, end);
  const Product logits(x.type, DType::f32, w.transposed(), rows, {.bias = bias_of(o.b, chunk)});
  std::optional<Product> data;
  std::optional<RowSums> weight;
  if (dx_part)
    data.emplace(x.type, DType::f32, w, rows, ProductOptions{.accumulate = chunk.begin > 0});
  if (dw_sum) weight.emplace(n, o.in, pieces);
  Tensor column_sums = Tensor::zeros({pieces, n});

  parallel_parts(rows, step, [&](int64_t piece, int64_t from, int64_t to) {
    Tensor y({to - from, n}), rounded;
    logits.run(matrix(y), x.rows_of(from, to));
    for (int64_t r = from; r < to; ++r) {
      float* const row = y.data() + (r - from) * n;
      const int64_t at = begin + r;
      const int64_t target = o.targets->data<int32_t>()[at];
      const float factor = target == kNoTarget ? 0 : dloss.data()[at];
      row_kernels().cross_entropy_backward(row, row, log_sum->data()[at], target - chunk.begin,
                                           factor, n);
      row_kernels().add_to_sums(column_sums.data() + piece * n, row, n);
    }
    if (x.type == DType::bf16) {
      rounded = Tensor(y.shape(), x.type);
      row_kernels<bf16>().narrow(rounded.data<bf16>(), y.data(), y.elements());
    }
    const ConstMatrix dy = matrix(std::as_const(rounded.empty() ? y : rounded));
    if (data) data->run(matrix(*dx_part).rows_of(from, to), dy);
    if (weight) weight->run(piece, dy, x.rows_of(from, to));
  });

  if (dw_sum) {
    weight->finish(0, matrix(*dw_sum).rows_of(chunk.first, chunk.first + n), dw_add);
  }
  if (!db_sum) return;
  float* const db_rows = db_sum->data() + chunk.first;
  if (!db_add) std::fill_n(db_rows, n, 0.0f);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    row_kernels().add_to_sums(db_rows, column_sums.data() + piece * n, n);
  }
}

}  // namespace

}  // namespace adaspan
