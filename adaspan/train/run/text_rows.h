// SPDX-License-Identifier: MIT
// Losses of the tokens of a text that is read in several stretches at a time.
#pragma once

#include <functional>
#include <span>

#include <adaspan/models/transformer.h>
#include <adaspan/train/data/batches.h>
#include <adaspan/train/run/evaluate.h>

namespace adaspan {

/// A stretch of a stream, read from empty memory: inputs [begin, end-1). Of their next tokens those
/// in [first, end) are scored, each by what was read before it.
struct TextRow {
  int64_t begin, first, end;

  int64_t inputs() const { return end - 1 - begin; }
};

struct ScoredToken {
  int64_t position;  ///< in the stream
  int32_t before;    ///< the id at position - 1
  int32_t id;
  float loss;  ///< -log p(id), nats
};
using ScoredTokenVisitor = std::function<void(const ScoredToken&)>;

/// Reads all rows side by side in blocks of M or a little less, and tells `visit` of every
/// scored token: block by block, row by row, in the order of the text. Rows that are shorter than
/// the longest are filled up after their end, which changes nothing before it. Sums in double;
/// mean_z is of all that was read, filling and unscored inputs included. Throws what reading
/// throws.
Evaluation evaluate_rows(const Transformer& model, const TokenStream& stream,
                         std::span<const TextRow> rows, int64_t M, const ScoredTokenVisitor& visit);

}  // namespace adaspan
