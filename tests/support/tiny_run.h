// SPDX-License-Identifier: MIT
// A run so small that a step takes a few milliseconds, yet with everything in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <adaspan/train/run/trainer.h>
#include "tests/support/gradient_check.h"

namespace adaspan {

/// 2 layers of 2 heads, H = 16, S = 24, in blocks of 8 of 4 sequences: what a block needs to see
/// lies 3 blocks back.
inline Settings tiny_settings() {
  Settings s;
  s.nlayers = 2;
  s.hid_sz = 16;
  s.inner_hid_sz = 32;
  s.nheads = 2;
  s.attn_span = 24;
  s.adapt_span_ramp = 4;
  s.dropout = 0;
  s.optim = "adagrad";
  s.lr = 0.05;
  s.momentum = 0;
  s.grad_clip = 0.1;
  s.batch_sz = 4;
  s.block_sz = 8;
  s.nbatches = 10;
  s.threads = 1;
  s.precision = "f32";
  return s;
}

/// The same with the spans of a kind; learned ones begin in the middle and cost something.
inline Settings tiny_settings(SpanKind kind) {
  Settings s = tiny_settings();
  s.adapt_span = kind == SpanKind::adaptive;
  s.dynamic_span = kind == SpanKind::dynamic;
  s.adapt_span_init = 0.4;
  s.adapt_span_loss = 1e-3;
  s.adapt_span_cache = kind == SpanKind::adaptive;
  return s;
}

inline constexpr SpanKind kSpanKinds[] = {SpanKind::fixed, SpanKind::adaptive, SpanKind::dynamic};

/// 0 1 2 ... period-1 0 1 ...
inline TokenStream repetitive_stream(int64_t size, int32_t period) {
  Tensor ids({size}, DType::i32);
  for (int64_t i = 0; i < size; ++i) ids.data<int32_t>()[i] = static_cast<int32_t>(i % period);
  return TokenStream::of(std::move(ids), "the repetitive stream");
}

/// Ids that nothing predicts.
inline TokenStream random_stream(int64_t size, int64_t vocabulary, uint64_t seed = 1) {
  Tensor ids({size}, DType::i32);
  for (int64_t i = 0; i < size; ++i) {
    const double u =
        random_uniform({.seed = seed, .purpose = Purpose::benchmark}, static_cast<uint64_t>(i));
    ids.data<int32_t>()[i] = static_cast<int32_t>(u * static_cast<double>(vocabulary));
  }
  return TokenStream::of(std::move(ids), "the random stream");
}

/// Copies of all parameters.
inline std::vector<Tensor> weights(Trainer& trainer) {
  std::vector<Tensor> copies;
  for (const Parameter* p : trainer.model().parameters().all())
    copies.push_back(p->value().clone());
  return copies;
}

/// Whether both are the same, bit for bit.
inline bool same_weights(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
  return same;
}

}  // namespace adaspan
