// SPDX-License-Identifier: MIT
// loss = mean(log_sum - logits[target])      dlogits = (softmax(logits) - [v == target]) / rows
#include "ops/cross_entropy.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 128;

}  // namespace

Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets) {
  const int64_t V = logits.shape()[-1], rows = logits.shape().rows();
  require(targets.elements() == rows, "[cross_entropy] expected {} targets for logits {}; got {}",
          rows, logits.shape().text(), targets.elements());
  for (int32_t id : targets.values<int32_t>()) {
    require(id >= 0 && id < V, "[cross_entropy] expected targets in [0, {}); got {}", V, id);
  }

  Tensor log_sum({rows});
  parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      log_sum.data()[r] = row_kernels().log_sum_exp(logits.value().data() + r * V, V);
    }
  });
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    sum += log_sum.data()[r] - logits.value().data()[r * V + targets.data<int32_t>()[r]];
  }

  // saved: logits, targets, each row's log-sum
  return tape.record(
      "cross_entropy", {logits},
      Tensor::filled({1}, static_cast<float>(sum / static_cast<double>(rows))),
      [dlogits = logits.grad(), logits = logits.shared_value(), targets = share(targets.clone()),
       log_sum = share(std::move(log_sum)), V, rows](const Tensor& dloss) {
        const float factor = dloss.item() / static_cast<float>(rows);
        Tensor d(logits->shape());
        parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            row_kernels().cross_entropy_backward(d.data() + r * V, logits->data() + r * V,
                                                 log_sum->data()[r], targets->data<int32_t>()[r],
                                                 factor, V);
          }
        });
        dlogits.add(std::move(d));
      });
}

}  // namespace adaspan
