// SPDX-License-Identifier: MIT
// A run so small that a step takes a few milliseconds, yet with everything in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <adaspan/train/run/trainer.h>
#include "tests/support/gradient_check.h"
#include "tests/support/memory_values.h"

namespace adaspan {

/// 2 layers of 2 heads, H = 16, S = 24, in blocks of 8 of 4 sequences: what a block needs to see
/// lies 3 blocks back.
inline TrainingConfig tiny_config() {
  TrainingConfig s;
  s.model.layers = 2;
  s.model.hidden = 16;
  s.model.inner = 32;
  s.model.heads = 2;
  s.model.span_limit = 24;
  s.model.ramp = 4;
  s.model.dropout = 0;
  s.optimizer.kind = OptimizerKind::adagrad;
  s.schedule.learning_rate = 0.05;
  s.optimizer.momentum = 0;
  s.optimizer.grad_clip = 0.1;
  s.batch.sequences = 4;
  s.batch.block = 8;
  s.run.steps_per_round = 10;
  s.model.precision = DType::f32;
  return s;
}

/// The same with the spans of a kind; learned ones begin in the middle and cost something.
inline TrainingConfig tiny_config(SpanKind kind) {
  TrainingConfig s = tiny_config();
  s.model.span_kind = kind;
  s.model.span_init = 0.4f;
  s.model.span_loss = 1e-3f;
  s.model.adapt_cache = kind == SpanKind::adaptive;
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

/// What is remembered of the training text in a layer.
inline Tensor memory_of(const Trainer& trainer, int64_t layer) {
  return values_of(trainer.layer_memory(Trainer::MemoryOf::train, layer));
}

}  // namespace adaspan
