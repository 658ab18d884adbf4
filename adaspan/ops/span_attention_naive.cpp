// SPDX-License-Identifier: MIT
// The definition of span attention, one head at a time, from elementary ops.
#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/ops/band.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/softmax.h"
#include "adaspan/ops/span_attention.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {
namespace {

/// The E + M steps that the head's queries can see: nothing (zeros), memory, block.
Variable seen_steps(Tape& tape, const Variable& memory, const Variable& block, int64_t E) {
  const int64_t B = block.shape()[1], D = block.shape()[2];
  const int64_t missing = E - memory.shape()[0];
  return concat_steps(tape, {Variable::constant(Tensor::zeros({missing, B, D})), memory, block});
}

/// The head's own of the persistent keys or values [K,.,.].
Variable persistent(Tape& tape, const Variable& all, int64_t h) {
  const Variable one = slice_steps(tape, all, h, 1);
  return reshape(tape, one, {all.shape()[1], all.shape()[2]});
}

/// m [..., E] -> [..., E+P]: persistent vectors are seen in full.
Variable with_persistent(Tape& tape, const Variable& m, int64_t P) {
  return concat_columns(tape, {m, Variable::constant(Tensor::filled(m.shape().with_last(P), 1))});
}

}  // namespace

Variable span_attention_naive(Tape& tape, const SpanAttentionInputs& x,
                              const SpanAttentionOptions& options) {
  check_span_attention(x, options);
  require(x.qkv.value().type() == DType::f32,
          "[span_attention] expected qkv of type f32 for the naive version; got {}",
          name(x.qkv.value().type()));
  const auto K = static_cast<int64_t>(options.effective_spans.size());
  const int64_t M = x.qkv.shape()[0], B = x.qkv.shape()[1], H = x.qkv.shape()[2] / 3, D = H / K;
  const int64_t S = x.p.shape()[1], P = x.persistent_keys ? x.persistent_keys.shape()[2] : 0;

  std::vector<Variable> outs;
  int64_t memory_begin = 0;
  for (int64_t h = 0; h < K; ++h) {
    const int64_t E = options.effective_spans[h], steps = options.memory_steps[h];
    const auto of_block = [&](int64_t which) {
      return slice_columns(tape, x.qkv, which * H + h * D, D);
    };
    const Variable memory = slice_steps(tape, x.memory_kv, memory_begin, steps);  // [steps,B,2D]
    const auto of_memory = [&](int64_t which) { return slice_columns(tape, memory, which * D, D); };
    const float scaling = 1 / std::sqrt(static_cast<float>(D));
    const Variable q = scale(tape, of_block(0), scaling);               // [M,B,D]
    const Variable k = seen_steps(tape, of_memory(0), of_block(1), E);  // [E+M,B,D]
    const Variable v = seen_steps(tape, of_memory(1), of_block(2), E);  // [E+M,B,D]
    const Variable p = slice_columns(tape, x.p, S - E, E);              // [D,E]

    Variable s = add(tape, band_scores(tape, q, k), matmul(tape, q, p));  // [M,B,E]
    if (options.skip_missing) s = add(tape, s, missing_steps(M, B, E, E - steps));
    Variable m;  // [.,E]
    if (x.z) m = span_mask(tape, slice_columns(tape, x.z, h, 1), E, options.ramp);
    if (P > 0) {
      const Variable n = persistent(tape, x.persistent_keys, h);  // [D,P]
      s = concat_columns(tape, {s, matmul(tape, q, n)});          // [M,B,E+P]
      if (m) m = with_persistent(tape, m, P);
    }
    // A weight keeps its random number when the span changes: numbered as if all S were there.
    const Columns columns{.begin = h * (S + P) + S - E, .of = K * (S + P)};
    const Variable a = dropout(tape, softmax(tape, s, m), options.dropout, columns);  // [M,B,E+P]
    Variable out = band_mix(tape, P > 0 ? slice_columns(tape, a, 0, E) : a, v);       // [M,B,D]
    if (P > 0) {
      const Variable u = persistent(tape, x.persistent_values, h);  // [P,D]
      out = add(tape, out, matmul(tape, slice_columns(tape, a, E, P), u));
    }
    outs.push_back(out);
    memory_begin += steps;
  }
  return concat_columns(tape, outs);  // [M,B,H]
}

}  // namespace adaspan
