// SPDX-License-Identifier: MIT
// y[t] = table[ids[t]]      dtable[ids[t]] += dy[t]
#include "ops/embedding.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"

namespace adaspan {

Variable embedding(Tape& tape, const Variable& table, const Tensor& ids) {
  require(table.shape().rank() == 2, "[embedding] expected a table [V,H]; got shape {}",
          table.shape().text());
  const int64_t V = table.shape()[0], H = table.shape()[1], tokens = ids.elements();
  for (int32_t id : ids.values<int32_t>()) {
    require(id >= 0 && id < V,
            "[embedding] expected ids in [0, {}); got {}; is the corpus of "
            "another vocabulary than the model?",
            V, id);
  }

  std::vector<int64_t> extents = ids.shape().extents();
  extents.push_back(H);
  Tensor y(Shape(std::move(extents)));  // [..., H]
  parallel_chunks(tokens, 256, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      std::copy_n(table.value().data() + ids.data<int32_t>()[t] * H, H, y.data() + t * H);
    }
  });

  // saved: ids
  return tape.record("embedding", {table}, std::move(y),
                     [dtable = table.grad(), shape = table.shape(), ids = share(ids.clone()),
                      H](const Tensor& dy) {
                       Tensor d = Tensor::zeros(shape);
                       // Tokens meet in a row of the table: each chunk of columns adds all tokens,
                       // in their order.
                       parallel_chunks(H, 64, [&](int64_t begin, int64_t end) {
                         for (int64_t t = 0; t < ids->elements(); ++t) {
                           float* row = d.data() + ids->data<int32_t>()[t] * H;
                           for (int64_t h = begin; h < end; ++h) row[h] += dy.data()[t * H + h];
                         }
                       });
                       dtable.add(std::move(d));
                     });
}

}  // namespace adaspan
