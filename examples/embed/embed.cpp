// SPDX-License-Identifier: MIT
// Trains a small model on tokens that the program makes: each is the one of 5 steps before.
#include <cstdio>
#include <vector>

#include <adaspan/core/random.h>
#include <adaspan/models/transformer.h>
#include <adaspan/ops/process.h>
#include <adaspan/train/optim/optimizer.h>

#include "core/error.h"

constexpr int64_t kPeriod = 5, kSymbols = 6, kBatch = 8, kBlock = 16;

// [kBlock + 1, kBatch], time first.
std::vector<int32_t> periodic_tokens(uint32_t step) {
  std::vector<int32_t> ids((kBlock + 1) * kBatch);
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool fresh = i < kPeriod * kBatch;
    const uint32_t bits = adaspan::random_bits({.seed = 1, .step = step}, i);
    ids[i] = fresh ? static_cast<int32_t>(bits % kSymbols) : ids[i - kPeriod * kBatch];
  }
  return ids;
}

int main() {
  using namespace adaspan;
  open_process({.threads = 2});
  const ModelConfig config{.vocabulary = kSymbols,
                           .layers = 1,
                           .hidden = 32,
                           .inner = 64,
                           .heads = 2,
                           .span_limit = 16,
                           .ramp = 8};
  Transformer model(config, /*seed=*/1);
  const auto optimizer = make_optimizer({.kind = OptimizerKind::adam}, model.parameters().all());

  float first = 0, last = 0;
  for (int step = 1; step <= 200; ++step) {
    const std::vector<int32_t> ids = periodic_tokens(static_cast<uint32_t>(step));
    const std::span<const int32_t> all(ids);
    const Tensor inputs = Tensor::of({kBlock, kBatch}, all.first(kBlock * kBatch));
    const Tensor targets = Tensor::of({kBlock, kBatch}, all.last(kBlock * kBatch));

    Tape tape;
    const BlockLoss out = model.loss(tape, inputs, targets, model.fresh_memory(kBatch));
    tape.backward(out.total);
    optimizer->update(/*learning_rate=*/0.01, step);
    for (Parameter* p : model.parameters().all()) p->clear_grad();
    (step == 1 ? first : last) = out.nll;
  }
  std::printf("loss %.3f at first, %.3f at last\n", first, last);
  return last < first / 2 ? 0 : complain(first, last);
}
