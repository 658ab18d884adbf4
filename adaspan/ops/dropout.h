// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/tape.h>
#include <adaspan/core/random.h>

namespace adaspan {

/// Which activations a training step drops (Srivastava et al. 2014). A mask is a function of the
/// key and of the *global* place of an activation, so a batch that is worked on in parts, or by
/// more threads, drops the same ones; and the backward pass computes it again instead of storing
/// it.
struct Dropout {
  float rate = 0;              ///< share that is dropped, in [0, 1); 0 turns it off
  RandomKey key = {};          ///< seed, step and site
  int64_t first_sequence = 0;  ///< place of this part's first sequence in the whole batch
  int64_t batch = 0;           ///< sequences in the whole batch

  /// The row of the whole batch's [M,B] that row `row` of this part's, of `part` sequences, is.
  int64_t global_row(int64_t row, int64_t part) const {
    return row / part * batch + first_sequence + row % part;
  }
};

/// Throws Error, in the name of `op`, unless 0 <= rate < 1 and, where anything is dropped, a part
/// of B sequences lies within the batch.
void check_dropout(const char* op, const Dropout& mask, int64_t B);

/// Where the columns of a value stand in wider rows, of which it holds a part.
struct Columns {
  int64_t begin = 0;
  int64_t of = 0;  ///< width of the whole row; 0: as wide as the value's
};

/// y = x / (1 - rate) with probability 1 - rate, else 0
///   x [M,B,n], f32 or bf16 -> y of the same shape and type
/// Element (row, i) uses random number global_row * columns.of + columns.begin + i of the key.
/// Throws Error unless x is [M,B,n], and as check_dropout does.
Variable dropout(Tape& tape, const Variable& x, const Dropout& mask, Columns columns = {});

}  // namespace adaspan
