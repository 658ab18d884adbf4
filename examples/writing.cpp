// SPDX-License-Identifier: MIT
// A model learns a verse, and writes it: training, then a decoder.
#include <cstdio>
#include <string>
#include <vector>

#include <adaspan/models/decode/decoder.h>
#include <adaspan/models/decode/sampling.h>
#include <adaspan/train/run/trainer.h>

using namespace adaspan;

int main() {
  const std::string verse = "the rain in spain stays mainly in the plain; ";
  std::vector<int32_t> ids;
  for (int i = 0; i < 200; ++i) ids.insert(ids.end(), verse.begin(), verse.end());
  const auto size = static_cast<int64_t>(ids.size());
  const TokenStream text = TokenStream::of(Tensor::of({size}, ids), "a verse");

  TrainingConfig config;
  config.model = {.layers = 2, .hidden = 64, .inner = 128, .heads = 2, .span_limit = 32};
  config.batch = {.sequences = 8, .block = 32};
  config.optimizer.kind = OptimizerKind::adam;
  config.schedule.learning_rate = 0.003;
  Trainer trainer(config, /*vocabulary=*/128, text, text);
  for (int step = 0; step < 200; ++step) trainer.step();

  Decoder decoder(trainer.model(), {});
  std::string written = "the r";
  const std::vector<int32_t> prompt(written.begin(), written.end());
  const Tensor* log_p = &decoder.read(prompt);
  while (written.size() < 2 * verse.size()) {
    const auto p = sampling_probabilities(log_p->values(), {.temperature = 0.5, .top_p = 0.9});
    const int32_t next = draw(p, /*uniform=*/0.5);
    written += static_cast<char>(next);
    log_p = &decoder.step({&next, 1});
  }
  std::puts(written.c_str());
  return written == verse + verse ? 0 : 1;
}
