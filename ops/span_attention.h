// SPDX-License-Identifier: MIT
// Attention over a limited span with relative positions (paper, sections 2.1 to 2.3):
//
//   score s_tr = (q_t . k_r + q_t . p_{t-r}) / sqrt(D)          for r in [t-E, t-1]
//   weight a_tr = m_z(t-r-1) e^s_tr / sum_r m_z(t-r-1) e^s_tr
//   out_t = sum_r dropout(a_tr) v_r
//
// for each head h by itself, over its own effective span E_h and nothing beyond: weights further
// back are exactly zero. Steps r before the stream's start have k = v = 0.
#pragma once

#include <vector>

#include "autograd/tape.h"
#include "ops/dropout.h"

namespace adaspan {

struct SpanAttentionInputs {
  Variable q, k, v;             ///< [M,B,H]: of the block; head h has columns h*D .. h*D+D-1
  Variable memory_k, memory_v;  ///< [sum of reaches, B, D]: of the memory (memory_projection)
  Variable p;                   ///< [D,S]: positions; column j is distance S-j
  Variable z;                   ///< spans: absent (fixed), [K] (adaptive), [M,B,K] (dynamic)
};

struct SpanAttentionOptions {
  int64_t ramp = 32;             ///< R
  std::vector<int64_t> spans;    ///< E_h of each head, in [1, S]
  std::vector<int64_t> reaches;  ///< steps of memory that each head has, in [0, E_h]
  bool skip_missing = false;     ///< leave out steps that have no memory, instead of k = v = 0
  Dropout dropout;               ///< of the weights a
};

/// -> out [M,B,H], heads side by side. Throws Error when shapes, spans or reaches do not fit.
/// Composed of elementary ops, one head at a time: the readable definition.
Variable span_attention_naive(Tape& tape, const SpanAttentionInputs& x,
                              const SpanAttentionOptions& options);

/// Throws Error unless shapes, spans and reaches fit each other.
void check_span_attention(const SpanAttentionInputs& x, const SpanAttentionOptions& options);

}  // namespace adaspan
