// SPDX-License-Identifier: MIT
// The loss of every token of a text but the first, which nothing comes before, each scored once and
// with all that the model can see before it. One row would do; for speed there are B of them, which
// overlap by W tokens that are read and not scored, so that the value is that of one row:
//
//   text   t_0 ......................................................... t_{n-1}
//   row 0  |scored                    |
//   row 1              |W, not scored |scored             |
//   row 2                                  |W, not scored |scored             |
//
// W is as far back as the last layer's output depends on the text: the sum over layers of the
// widest head's reach (ops/span_mask.h). Row b reads from s_b = floor(b (n-1-W) / B), and all rows
// read W + ceil((n-1-W) / B) tokens; B rows cost (B-1) W tokens more than one.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <adaspan/train/run/memory_check.h>
#include <adaspan/train/run/text_rows.h>

namespace adaspan {

/// What a user may choose of an evaluation; what is left open is decided by size and memory.
struct EvaluationShape {
  std::optional<int64_t> rows = {}, block = {};
};

struct EvaluationPlan {
  int64_t B = 1;  ///< rows
  int64_t M = 1;  ///< tokens of a block
  int64_t W = 0;  ///< tokens of overlap

  /// Tokens that each row reads, of a text of n.
  int64_t columns(int64_t n) const;
};

/// W of a model at its spans.
int64_t warm_up(const Transformer& model);

/// For a text of n tokens by a model that was trained in batches as `batch` says. Rows: as many as
/// keep the overlap below a tenth of the text and are no more than a part of a training batch;
/// blocks: of as many tokens, over all rows, as a part of a training's block, so longer where there
/// are few rows. Both are made smaller until they fit into memory. One row where the text is no
/// longer than W. Throws Error when n < 2 or a given number is out of range; OutOfMemory when it
/// does not fit.
EvaluationPlan plan_exact(const Transformer& model, const BatchConfig& batch,
                          const TokenStream& stream, const EvaluationShape& given = {},
                          const MemoryState& now = {});

/// `plan` with blocks, then rows, then blocks below `usual_block` made smaller until what it
/// `needs` fits; what was given stays. Throws OutOfMemory when it does not fit.
EvaluationPlan fitting(EvaluationPlan plan, int64_t usual_block, const EvaluationShape& given,
                       const std::function<MemoryNeed(const EvaluationPlan&)>& needs,
                       const MemoryState& now = {});

/// The B rows of a text of n tokens (n >= 2).
std::vector<TextRow> exact_rows(int64_t n, int64_t B, int64_t W);

/// Scores tokens 1 to n-1 of the stream, each once.
Evaluation evaluate_exactly(const Transformer& model, const TokenStream& stream,
                            const EvaluationPlan& plan, const ScoredTokenVisitor& visit);

}  // namespace adaspan
