// SPDX-License-Identifier: MIT
// One layer of span attention learns that a token is the one of `kDelay` steps before, and its span
// grows until it sees that far: learning where to look is what this model is about.
#include <cstdio>
#include <vector>

#include <adaspan/core/random.h>
#include <adaspan/models/transformer.h>
#include <adaspan/ops/process.h>
#include <adaspan/train/optim/optimizer.h>

using namespace adaspan;

constexpr int64_t kDelay = 9, kSymbols = 8, kBatch = 16, kBlock = 32;

// Random symbols that repeat after kDelay steps with a fresh symbol in one of 8 places: to predict
// the next one, look back kDelay steps. [kBlock + 1, kBatch], time first.
std::vector<int32_t> delayed_copy(uint32_t step) {
  const RandomKey key{.seed = 7, .purpose = Purpose::benchmark, .step = step};
  std::vector<int32_t> ids((kBlock + 1) * kBatch);
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool fresh = i < kDelay * kBatch || random_bits(key, 2 * i) % 8 == 0;
    ids[i] = fresh ? static_cast<int32_t>(random_bits(key, 2 * i + 1) % kSymbols)
                   : ids[i - kDelay * kBatch];
  }
  return ids;
}

int main() {
  open_process({.threads = 1});  // too little work to share
  const ModelConfig config{.vocabulary = kSymbols,
                           .layers = 1,
                           .hidden = 32,
                           .inner = 64,
                           .heads = 2,
                           .span_limit = 32,
                           .ramp = 8,
                           .span_kind = SpanKind::adaptive,
                           .span_loss = 5e-6f};
  Transformer model(config, /*seed=*/1);
  const auto optimizer = make_optimizer({.kind = OptimizerKind::adam}, model.parameters().all());

  float loss = 0, longest = 0;
  for (int step = 1; step <= 600; ++step) {
    const std::vector<int32_t> ids = delayed_copy(static_cast<uint32_t>(step));
    const std::span<const int32_t> all(ids);
    const Tensor inputs = Tensor::of({kBlock, kBatch}, all.first(kBlock * kBatch));
    const Tensor targets = Tensor::of({kBlock, kBatch}, all.last(kBlock * kBatch));

    Tape tape;
    const BlockLoss out = model.loss(tape, inputs, targets, model.fresh_memory(kBatch));
    tape.backward(out.total);
    optimizer->update(/*learning_rate=*/0.01, step);
    for (Parameter* p : model.parameters().all()) p->clear_grad();

    loss = out.nll;
    longest = std::max(out.mean_z[0][0], out.mean_z[0][1]);
    if (step % 100 == 0)
      std::printf("step %d  loss %.3f  longest span z %.1f\n", step, loss, longest);
  }
  // Blind guessing costs ln 8 = 2.08. What the next symbol copies is kDelay - 1 = 8 steps back: at
  // first (z = 0, R = 8) the mask there is 1/8, and z grows until (z > 4) more than half comes
  // through.
  return loss < 1.5f && longest > 4 ? 0 : 1;
}
