// SPDX-License-Identifier: MIT
// The validation that reads the same text each time. A few rows of the batch go through all of it,
// then the next few: what the layers remember meanwhile is that of a few rows, not of a second
// batch.
#pragma once

#include <cstdint>

#include <adaspan/models/transformer.h>
#include <adaspan/train/data/batches.h>

namespace adaspan {

/// Rows that are worked on at once, of a batch of so many: the largest divisor up to 8.
int64_t validation_rows(int64_t sequences);

/// The mean negative log-likelihood of the next `blocks` blocks of a stream, which begins there:
/// with empty memory. B: sequences of the reader. The reader ends where it began. Throws what
/// reading throws.
double fixed_validation_loss(const Transformer& model, BlockReader& reader, int64_t B,
                             int64_t blocks);

}  // namespace adaspan
