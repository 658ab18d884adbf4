// SPDX-License-Identifier: MIT
#include "adaspan/train/run/evaluate.h"

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace {

/// What one block adds.
struct BlockResult {
  double loss;  ///< mean of its targets
  std::vector<std::vector<float>> mean_z;
  Memory memory;
};

/// Means over the next `blocks` blocks of what `look` finds of each.
template <class Look>
Evaluation over_blocks(const Transformer& model, BlockReader& reader, int64_t blocks,
                       Memory& memory, const Look& look) {
  const FlushDenormals flush;
  const auto layers = static_cast<size_t>(model.config().layers);
  const auto heads = static_cast<size_t>(model.config().heads);
  std::vector<std::vector<double>> sums(layers, std::vector<double>(heads, 0));  // of mean z
  double loss = 0;
  Evaluation result;
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = reader.next();
    if (block.starts_stream) memory = model.fresh_memory(block.inputs.shape()[1]);
    BlockResult out = look(block, memory);
    memory = std::move(out.memory);
    loss += out.loss;
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

double mean(const Tensor& losses) {
  double sum = 0;
  for (const float loss : losses.values()) sum += loss;
  return sum / static_cast<double>(losses.elements());
}

}  // namespace

Evaluation evaluate(const Transformer& model, BlockReader& reader, int64_t blocks, Memory& memory) {
  return over_blocks(model, reader, blocks, memory, [&](const Block& block, const Memory& before) {
    Tape no_tape(Tape::Mode::evaluation);
    BlockLoss out = model.loss(no_tape, block.inputs, block.targets, before);
    return BlockResult{out.nll, std::move(out.mean_z), std::move(out.memory)};
  });
}

Evaluation evaluate(const Transformer& model, const TokenStream& stream, int64_t B, int64_t M,
                    const TokenLossVisitor& visit) {
  BlockReader reader(stream, B, M, /*seed=*/0);
  Memory memory = model.fresh_memory(B);
  const int64_t blocks = reader.blocks_per_pass();
  if (!visit) return evaluate(model, reader, blocks, memory);
  return over_blocks(model, reader, blocks, memory, [&](const Block& block, const Memory& before) {
    BlockTokenLosses out = model.token_losses(block.inputs, block.targets, before);
    visit(block.inputs, block.targets, out.losses);
    return BlockResult{mean(out.losses), std::move(out.mean_z), std::move(out.memory)};
  });
}

}  // namespace adaspan
