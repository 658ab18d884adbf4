// SPDX-License-Identifier: MIT
// Trains a small model on tokens that the program makes: most are those of 5 steps before.
#include <cstdio>
#include <utility>

#include <adaspan/core/random.h>
#include <adaspan/ops/process.h>
#include <adaspan/train/run/trainer.h>

#include "core/error.h"

using namespace adaspan;

constexpr int64_t kPeriod = 5, kSymbols = 6;

// `n` tokens; one in 8 is a fresh one.
TokenStream periodic_tokens(int64_t n, uint64_t seed) {
  Tensor ids({n}, DType::i32);
  int32_t* const id = ids.data<int32_t>();
  for (int64_t i = 0; i < n; ++i) {
    const auto place = static_cast<uint64_t>(2 * i);
    const bool fresh = i < kPeriod || random_bits({.seed = seed}, place) % 8 == 0;
    const auto symbol = static_cast<int32_t>(random_bits({.seed = seed}, place + 1) % kSymbols);
    id[i] = fresh ? symbol : id[i - kPeriod];
  }
  return TokenStream::of(std::move(ids), "the periodic tokens");
}

int main() {
  open_process({.threads = 2});
  TrainingConfig config;
  config.model = {.layers = 1,
                  .hidden = 32,
                  .inner = 64,
                  .heads = 2,
                  .span_limit = 16,
                  .ramp = 8,
                  .span_kind = SpanKind::adaptive,
                  .dropout = 0};
  config.optimizer = {.kind = OptimizerKind::adam};
  config.schedule = {.learning_rate = 0.01};
  config.batch = {.sequences = 8, .block = 16};

  Trainer trainer(config, /*vocabulary=*/kSymbols, periodic_tokens(20000, 1),
                  periodic_tokens(2000, 2));
  const double first = trainer.step().loss;
  double last = first;
  while (trainer.steps_done() < 300) last = trainer.step().loss;
  const double valid = trainer.validate().loss;
  std::printf("loss %.3f at first, %.3f at last, %.3f of other tokens\n", first, last, valid);
  return valid < first / 2 ? 0 : complain(first, valid);
}
