// SPDX-License-Identifier: MIT
#include "ops/dropout.h"

#include "core/error.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "ops/kernels/row_kernels.h"

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

Variable dropout(Tape& tape, const Variable& x, const Dropout& mask, Columns columns) {
  require(mask.rate >= 0 && mask.rate < 1, "[dropout] expected a rate in [0, 1); got {}",
          mask.rate);
  if (mask.rate == 0) return x;
  require(x.shape().rank() == 3 && mask.first_sequence >= 0 &&
              mask.first_sequence + x.shape()[1] <= mask.batch,
          "[dropout] expected x [M,B,n] within a batch of {} sequences; got {} from sequence {}",
          mask.batch, x.shape().text(), mask.first_sequence);
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
