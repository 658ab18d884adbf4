// SPDX-License-Identifier: MIT
// y[t] = table[ids[t]]      dtable[ids[t]] += dy[t]
#include "adaspan/ops/embedding.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

template <class T>
void gather(Tensor& y, const Tensor& table, const Tensor& ids) {
  const int64_t H = table.shape()[1];
  const RowKernels<T>& kernels = row_kernels<T>();
  parallel_chunks(ids.elements(), 256, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      kernels.narrow(y.data<T>() + t * H, table.data() + ids.data<int32_t>()[t] * H, H);
    }
  });
}

/// dtable[ids[t]] += dy[t], or = where nothing is in it yet. Tokens meet in a row of the table, so
/// each is a part of the sum.
template <class T>
void scatter(Tensor& dtable, bool accumulate, const Tensor& dy, const Tensor& ids) {
  const int64_t V = dtable.shape()[0], H = dtable.shape()[1];
  const RowKernels<T>& kernels = row_kernels<T>();
  if (!accumulate) {
    parallel_chunks(V * H, 1 << 14, [&](int64_t begin, int64_t end) {
      std::fill(dtable.data() + begin, dtable.data() + end, 0.0f);
    });
  }
  add_in_order(ids.elements(), H, 64, [&](int64_t t, int64_t begin, int64_t end) {
    float* const sums = dtable.data() + ids.data<int32_t>()[t] * H + begin;
    kernels.add_to_sums(sums, dy.data<T>() + t * H + begin, end - begin);
  });
}

}  // namespace

Variable embedding(Tape& tape, const Variable& table, const Tensor& ids, DType type) {
  require(table.shape().rank() == 2, "[embedding] expected a table [V,H]; got shape {}",
          table.shape().text());
  const int64_t V = table.shape()[0], H = table.shape()[1];
  for (int32_t id : ids.values<int32_t>()) {
    require(id >= 0 && id < V,
            "[embedding] expected ids in [0, {}); got {}; is the corpus of "
            "another vocabulary than the model?",
            V, id);
  }

  std::vector<int64_t> extents = ids.shape().extents();
  extents.push_back(H);
  Tensor y(Shape(std::move(extents)), type);  // [..., H]
  const Timed timed("embedding", 0, 4.0 * y.elements() + y.bytes());
  with_type(type, [&]<class T>(T) { gather<T>(y, table.value(), ids); });

  // saved: ids
  return tape.record("embedding", {table}, std::move(y),
                     [dtable = table.grad(), ids = share(ids.clone())](const Tensor& dy) {
                       const Timed backward_timed("embedding backward", dy.elements(),
                                                  8.0 * dy.elements() + dy.bytes());
                       dtable.add_by([&](Tensor& sum, bool accumulate) {
                         with_type(dy.type(),
                                   [&]<class T>(T) { scatter<T>(sum, accumulate, dy, *ids); });
                       });
                     });
}

}  // namespace adaspan
