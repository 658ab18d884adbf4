// SPDX-License-Identifier: MIT
// Streams of symbols with known structure, and a few training steps on them.
#pragma once

#include <functional>
#include <vector>

#include <adaspan/core/parallel.h>
#include <adaspan/core/random.h>
#include <adaspan/models/transformer.h>
#include <adaspan/train/optim/optimizer.h>

namespace adaspan::testing {

/// The symbol of sequence b at time t, given the ones before (past(d): d steps back).
using Rule = std::function<int32_t(int64_t t, const RandomKey& key, uint64_t place,
                                   const std::function<int32_t(int64_t d)>& past)>;

/// [M+1,B] ids made by a rule; `step` chooses the random numbers.
inline std::vector<int32_t> make_stream(const Rule& rule, int64_t M, int64_t B, uint32_t step) {
  const RandomKey key{.seed = 5, .purpose = Purpose::benchmark, .step = step};
  std::vector<int32_t> ids(static_cast<size_t>((M + 1) * B));
  for (int64_t t = 0; t <= M; ++t) {
    for (int64_t b = 0; b < B; ++b) {
      const auto past = [&](int64_t d) { return ids[static_cast<size_t>((t - d) * B + b)]; };
      ids[static_cast<size_t>(t * B + b)] = rule(t, key, static_cast<uint64_t>(t * B + b), past);
    }
  }
  return ids;
}

/// Trains with Adam on fresh streams of the rule, each from empty memory; returns the last loss.
inline BlockLoss train_on(Transformer& model, const Rule& rule, int64_t M, int64_t B, int64_t steps,
                          double learning_rate) {
  set_threads(1);  // too little work to share
  const auto optimizer = make_optimizer({.kind = OptimizerKind::adam}, model.parameters().all());
  BlockLoss out;
  for (int64_t step = 1; step <= steps; ++step) {
    const std::vector<int32_t> ids = make_stream(rule, M, B, static_cast<uint32_t>(step));
    const std::span<const int32_t> all(ids);
    const auto n = static_cast<size_t>(M * B);
    Tape tape;
    out = model.loss(tape, Tensor::of({M, B}, all.first(n)), Tensor::of({M, B}, all.last(n)),
                     model.fresh_memory(B));
    tape.backward(out.total);
    optimizer->update(learning_rate, step);
    for (Parameter* p : model.parameters().all()) p->clear_grad();
  }
  return out;
}

inline float longest(const std::vector<std::vector<float>>& spans) {
  float z = 0;
  for (const auto& layer : spans) {
    for (float head : layer) z = std::max(z, head);
  }
  return z;
}

}  // namespace adaspan::testing
