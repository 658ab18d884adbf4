// SPDX-License-Identifier: MIT
#include "adaspan/train/run/evaluate.h"

#include "adaspan/core/cpu.h"
#include "adaspan/ops/cross_entropy.h"

namespace adaspan {

Evaluation evaluate(const Transformer& model, const TokenStream& stream, int64_t B, int64_t M) {
  const FlushDenormals flush;
  const ModelConfig& config = model.config();
  BlockReader reader(stream, B, M, /*seed=*/0);
  const int64_t blocks = reader.blocks_per_pass();
  Memory memory = model.fresh_memory(B);
  std::vector<std::vector<double>> span_sums(config.layers, std::vector<double>(config.heads, 0));
  double loss = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = reader.next();
    Tape tape(Tape::Mode::evaluation);
    TransformerOutput out = model.forward(tape, block.inputs, memory);
    loss += cross_entropy(tape, out.logits, block.targets).value().item();
    memory = std::move(out.memory);
    for (int64_t l = 0; l < config.layers; ++l) {
      for (int64_t h = 0; h < config.heads; ++h) span_sums[l][h] += out.spans[l][h];
    }
  }
  Evaluation result;
  const auto n = static_cast<double>(blocks);
  result.loss = loss / n;
  result.tokens = blocks * B * M;
  for (const auto& layer : span_sums) {
    auto& spans = result.spans.emplace_back();
    for (double sum : layer) spans.push_back(static_cast<float>(sum / n));
  }
  return result;
}

}  // namespace adaspan
