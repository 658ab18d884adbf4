// SPDX-License-Identifier: MIT
#include "adaspan/train/run/exact_evaluation.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

/// The most rows whose overlap is at most a tenth of the text.
int64_t cheap_rows(int64_t n, int64_t W) {
  return 1 + (n - 1) / (10 * W);
}

MemoryNeed need_of(const Transformer& model, const EvaluationPlan& plan, int64_t n) {
  return evaluation_need(model.config(), plan.B, plan.M, plan.B * plan.columns(n), model.spans());
}

void check(const TokenStream& stream, const EvaluationShape& given) {
  require(stream.size >= 2,
          "[eval] expected at least 2 tokens in {}, since the first has no context; got {}; take a "
          "longer text",
          stream.name, stream.size);
  require(!given.rows || (*given.rows >= 1 && *given.rows < stream.size),
          "[eval] expected batch.sequences of 1 to {}, the tokens of {} but the first; got {}; "
          "leave it out, or take a smaller one",
          stream.size - 1, stream.name, given.rows.value_or(0));
  require(!given.block || *given.block >= 1,
          "[eval] expected batch.block of at least 1; got {}; leave it out, or take a larger one",
          given.block.value_or(0));
}

}  // namespace

int64_t EvaluationPlan::columns(int64_t n) const {
  const int64_t rest = n - 1 - W;
  return rest <= 0 ? n - 1 : W + (rest + B - 1) / B;
}

int64_t warm_up(const Transformer& model) {
  const ModelConfig& c = model.config();
  if (c.span_kind != SpanKind::adaptive) return c.layers * c.span_limit;
  int64_t sum = 0;
  for (const auto& layer : model.spans()) {
    sum += span_reach(std::ranges::max(layer), c.ramp, c.span_limit);
  }
  return sum;
}

EvaluationPlan plan_exact(const Transformer& model, const BatchConfig& batch,
                          const TokenStream& stream, const EvaluationShape& given,
                          const MemoryState& now) {
  check(stream, given);
  const int64_t n = stream.size, part = batch.sequences / batch.parts();
  EvaluationPlan plan{.W = warm_up(model)};
  plan.B = n - 1 <= plan.W ? 1 : given.rows.value_or(std::min(part, cheap_rows(n, plan.W)));
  const int64_t longer = std::max<int64_t>(1, part / plan.B);
  plan.M = std::min(given.block.value_or(batch.block * longer), plan.columns(n));
  return fitting(
      plan, batch.block, given, [&](const EvaluationPlan& some) { return need_of(model, some, n); },
      now);
}

EvaluationPlan fitting(EvaluationPlan plan, int64_t usual_block, const EvaluationShape& given,
                       const std::function<MemoryNeed(const EvaluationPlan&)>& needs,
                       const MemoryState& now) {
  while (lacking(needs(plan), now)) {
    if (!given.block && plan.M > usual_block) {
      plan.M = std::max(usual_block, plan.M / 2);
    } else if (!given.rows && plan.B > 1) {
      plan.B /= 2;
    } else if (!given.block && plan.M > 1) {
      plan.M /= 2;
    } else {
      break;
    }
  }
  require_memory("this evaluation", needs(plan),
                 given.rows || given.block ? "leave batch.sequences and batch.block out, or take "
                                             "smaller ones"
                                           : "use a machine with more",
                 now);
  return plan;
}

std::vector<TextRow> exact_rows(int64_t n, int64_t B, int64_t W) {
  const int64_t rest = n - 1 - W;
  if (rest <= 0) return {{.begin = 0, .first = 1, .end = n}};
  const auto start = [&](int64_t b) { return rest / B * b + rest % B * b / B; };  // overflows not
  std::vector<TextRow> rows;
  for (int64_t b = 0; b < B; ++b) {
    rows.push_back(
        {.begin = start(b), .first = b == 0 ? 1 : start(b) + W + 1, .end = start(b + 1) + W + 1});
  }
  return rows;
}

Evaluation evaluate_exactly(const Transformer& model, const TokenStream& stream,
                            const EvaluationPlan& plan, const ScoredTokenVisitor& visit) {
  return evaluate_rows(model, stream, exact_rows(stream.size, plan.B, plan.W), plan.M, visit);
}

}  // namespace adaspan
