// SPDX-License-Identifier: MIT
#include "adaspan/train/run/evaluate.h"

#include "adaspan/core/cpu.h"

namespace adaspan {

Evaluation evaluate(const Transformer& model, BlockReader& reader, int64_t blocks, Memory& memory) {
  const FlushDenormals flush;
  const auto layers = static_cast<size_t>(model.config().layers);
  const auto heads = static_cast<size_t>(model.config().heads);
  std::vector<std::vector<double>> sums(layers, std::vector<double>(heads, 0));  // of mean z
  double loss = 0;
  Evaluation result;
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = reader.next();
    if (block.starts_stream) memory = model.fresh_memory(block.inputs.shape()[1]);
    Tape no_tape(Tape::Mode::evaluation);
    BlockLoss out = model.loss(no_tape, block.inputs, block.targets, memory);
    memory = std::move(out.memory);
    loss += out.nll;
    result.tokens += block.targets.elements();
    for (size_t l = 0; l < layers; ++l) {
      for (size_t h = 0; h < heads; ++h) sums[l][h] += out.mean_z[l][h];
    }
  }
  const auto n = static_cast<double>(blocks);
  result.loss = loss / n;
  for (const auto& layer : sums) {
    auto& mean_z = result.mean_z.emplace_back();
    for (double sum : layer) mean_z.push_back(static_cast<float>(sum / n));
  }
  return result;
}

Evaluation evaluate(const Transformer& model, const TokenStream& stream, int64_t B, int64_t M) {
  BlockReader reader(stream, B, M, /*seed=*/0);
  Memory memory = model.fresh_memory(B);
  return evaluate(model, reader, reader.blocks_per_pass(), memory);
}

}  // namespace adaspan
