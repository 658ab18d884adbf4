// SPDX-License-Identifier: MIT
#include "adaspan/train/run/text_rows.h"

#include <algorithm>
#include <vector>

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace {

/// Inputs [first, first+M) of each row, and their next tokens.
Block block_of(const TokenStream& stream, std::span<const TextRow> rows, int64_t first, int64_t M) {
  const auto B = static_cast<int64_t>(rows.size());
  Block block{Tensor({M, B}, DType::i32), Tensor({M, B}, DType::i32), first == 0};
  std::vector<int32_t> ids(static_cast<size_t>(M + 1));
  for (int64_t b = 0; b < B; ++b) {
    const TextRow& row = rows[static_cast<size_t>(b)];
    const int64_t begin = row.begin + first;
    const int64_t count = std::clamp<int64_t>(row.end - begin, 0, M + 1);
    std::fill(ids.begin(), ids.end(), 0);  // any id will do after the end
    if (count > 0) stream.read(begin, count, ids.data());
    for (int64_t t = 0; t < M; ++t) {
      block.inputs.data<int32_t>()[t * B + b] = ids[static_cast<size_t>(t)];
      block.targets.data<int32_t>()[t * B + b] = ids[static_cast<size_t>(t + 1)];
    }
  }
  return block;
}

/// Sums of mean z over inputs.
class SpanSums {
 public:
  void add(const std::vector<std::vector<float>>& mean_z, int64_t inputs) {
    if (sums_.empty()) {
      for (const auto& layer : mean_z) sums_.emplace_back(layer.size(), 0.0);
    }
    for (size_t l = 0; l < mean_z.size(); ++l) {
      for (size_t h = 0; h < mean_z[l].size(); ++h) {
        sums_[l][h] += static_cast<double>(mean_z[l][h]) * static_cast<double>(inputs);
      }
    }
    inputs_ += inputs;
  }
  std::vector<std::vector<float>> means() const {
    std::vector<std::vector<float>> all;
    for (const auto& layer : sums_) {
      auto& mean_z = all.emplace_back();
      for (const double sum : layer) {
        mean_z.push_back(static_cast<float>(sum / static_cast<double>(inputs_)));
      }
    }
    return all;
  }

 private:
  std::vector<std::vector<double>> sums_;
  int64_t inputs_ = 0;
};

}  // namespace

Evaluation evaluate_rows(const Transformer& model, const TokenStream& stream,
                         std::span<const TextRow> rows, int64_t M,
                         const ScoredTokenVisitor& visit) {
  const FlushDenormals flush;
  const auto B = static_cast<int64_t>(rows.size());
  int64_t columns = 0;
  for (const TextRow& row : rows) columns = std::max(columns, row.inputs());
  Memory memory = model.fresh_memory(B);
  SpanSums spans;
  double nats = 0;
  Evaluation result;
  // Blocks that differ by one token at most: a last one of its own size would take buffers of its
  // own.
  const int64_t blocks = (columns + M - 1) / M;
  for (int64_t i = 0, column = 0; i < blocks; ++i) {
    const int64_t length = columns / blocks + (i < columns % blocks);
    const Block block = block_of(stream, rows, column, length);
    BlockTokenLosses out = model.token_losses(block.inputs, block.targets, memory);
    memory = std::move(out.memory);
    spans.add(out.mean_z, length);
    for (int64_t b = 0; b < B; ++b) {
      const TextRow& row = rows[static_cast<size_t>(b)];
      for (int64_t t = 0; t < length; ++t) {
        const int64_t position = row.begin + column + t + 1, at = t * B + b;
        if (position < row.first || position >= row.end) continue;
        const float loss = out.losses.data()[at];
        nats += loss;
        ++result.tokens;
        visit(
            {position, block.inputs.data<int32_t>()[at], block.targets.data<int32_t>()[at], loss});
      }
    }
    column += length;
  }
  if (result.tokens > 0) result.loss = nats / static_cast<double>(result.tokens);
  result.mean_z = spans.means();
  return result;
}

}  // namespace adaspan
