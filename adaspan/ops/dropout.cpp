// SPDX-License-Identifier: MIT
#include "adaspan/ops/dropout.h"

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

/// y = x under the mask; y may be x.
void drop(Tensor& y, const Tensor& x, const Dropout& mask, const Columns& columns) {
  const int64_t B = x.shape()[1], n = x.shape()[2];
  with_type(x.type(), [&]<class T>(T) {
    const RowKernels<T>& kernels = row_kernels<T>();
    parallel_chunks(x.shape().rows(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t first = mask.global_row(r, B) * columns.of + columns.begin;
        kernels.dropout(y.data<T>() + r * n, x.data<T>() + r * n, mask.rate, mask.key,
                        static_cast<uint64_t>(first), n);
      }
    });
  });
}

}  // namespace

void check_dropout(const char* op, const Dropout& mask, int64_t B) {
  require(mask.rate >= 0 && mask.rate < 1, "[{}] expected a dropout rate in [0, 1); got {}", op,
          mask.rate);
  require(mask.rate == 0 || (mask.first_sequence >= 0 && mask.first_sequence + B <= mask.batch),
          "[{}] expected {} sequences, from sequence {}, within a batch of {}", op, B,
          mask.first_sequence, mask.batch);
}

Variable dropout(Tape& tape, const Variable& x, const Dropout& mask, Columns columns) {
  if (mask.rate == 0) return x;
  require(x.shape().rank() == 3, "[dropout] expected x [M,B,n]; got {}", x.shape().text());
  check_dropout("dropout", mask, x.shape()[1]);
  if (columns.of == 0) columns = {.begin = 0, .of = x.shape()[2]};
  const Timed timed("dropout", 0, 2.0 * x.value().bytes());
  Tensor y(x.shape(), x.type());
  drop(y, x.value(), mask, columns);
  // saved: the key of the mask
  return tape.record("dropout", {x}, std::move(y), [dx = x.grad(), mask, columns](Tensor dy) {
    const Timed backward_timed("dropout backward", 0, 2.0 * dy.bytes());
    drop(dy, dy, mask, columns);
    dx.add(std::move(dy));
  });
}

}  // namespace adaspan
