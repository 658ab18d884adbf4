// SPDX-License-Identifier: MIT
#include "adaspan/train/run/fixed_validation.h"

#include <utility>

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace {

constexpr int64_t kMostRows = 8;

/// The sum of the blocks' mean losses, for rows [first, first+rows).
double sum_of_rows(const Transformer& model, BlockReader& reader, int64_t first, int64_t rows,
                   int64_t blocks) {
  Memory memory = model.fresh_memory(rows);
  double sum = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = part_of(reader.next(), first, rows);
    Tape no_tape(Tape::Mode::evaluation);
    BlockLoss out = model.loss(no_tape, block.inputs, block.targets, memory);
    memory = std::move(out.memory);
    sum += out.nll;
  }
  return sum;
}

}  // namespace

int64_t validation_rows(int64_t sequences) {
  int64_t rows = kMostRows;
  while (sequences % rows != 0) --rows;
  return rows;
}

double fixed_validation_loss(const Transformer& model, BlockReader& reader, int64_t B,
                             int64_t blocks) {
  const FlushDenormals flush;
  const BlockReader::Position begin = reader.position();
  const int64_t rows = validation_rows(B);
  double sum = 0;
  for (int64_t first = 0; first < B; first += rows) {
    sum += sum_of_rows(model, reader, first, rows, blocks);
    reader.seek(begin);
  }
  return sum / static_cast<double>(B / rows * blocks);
}

}  // namespace adaspan
