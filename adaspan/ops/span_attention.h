// SPDX-License-Identifier: MIT
// Attention over a limited span with relative positions (paper, sections 2.1 to 2.3):
//
//   score s_tr = (q_t . k_r + q_t . p_{t-r}) / sqrt(D)          for r in [t-E, t-1]
//   weight a_tr = m_z(t-r-1) e^s_tr / sum_r m_z(t-r-1) e^s_tr
//   out_t = sum_r dropout(a_tr) v_r
//
// for each head h by itself, over its own effective span E_h and nothing beyond: weights further
// back are exactly zero. Steps r before the stream's start have k = v = 0.
//
// All-attention (Sukhbaatar et al. 2019b, section 3): each head may have P keys n_j and values u_j
// that belong to no step, which every query sees, without a position and without a mask:
//
//   s_tj = q_t . n_j / sqrt(D),  and e^s_tj joins both sums:  out_t = sum_r a_tr v_r + sum_j a_tj
//   u_j
#pragma once

#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/ops/dropout.h>

namespace adaspan {

struct SpanAttentionInputs {
  Variable qkv;  ///< [M,B,3H]: q, k and v of the block side by side; head h has columns h*D ..
                 ///< h*D+D-1 of each
  Variable memory_kv;  ///< [sum of memory steps, B, 2D]: k and v of the memory (memory_projection)
  Variable p;          ///< [D,S] f32: positions; column j is distance S-j
  Variable z;          ///< spans, f32: absent (fixed), [K] (adaptive), [M,B,K] (dynamic)
  Variable persistent_keys = {};    ///< n: [K,D,P] f32, or absent
  Variable persistent_values = {};  ///< u: [K,P,D] f32, or absent
};

struct SpanAttentionOptions {
  int64_t ramp = 32;                     ///< R
  std::vector<int64_t> effective_spans;  ///< E_h of each head, in [1, S]
  std::vector<int64_t> memory_steps;     ///< steps of memory that each head has, in [0, E_h]
  bool skip_missing = false;  ///< leave out steps that have no memory, instead of k = v = 0
  Dropout dropout;            ///< of the weights a
};

/// -> out [M,B,H], heads side by side, of the type of qkv: f32, or bf16 (then k, v, the weights a
/// and all gradients of matrices are rounded to bf16; sums, scores and softmax are f32).
/// Time grows with M B (sum(E_h) + K P), memory with M B H: no array of queries by keys is kept.
/// Throws Error when shapes, types, effective spans or memory steps do not fit.
Variable span_attention(Tape& tape, const SpanAttentionInputs& x,
                        const SpanAttentionOptions& options);

/// The same in f32, composed of elementary ops, one head at a time: the readable definition.
Variable span_attention_naive(Tape& tape, const SpanAttentionInputs& x,
                              const SpanAttentionOptions& options);

/// Throws Error unless shapes, types, effective spans and memory steps fit each other.
void check_span_attention(const SpanAttentionInputs& x, const SpanAttentionOptions& options);

}  // namespace adaspan
