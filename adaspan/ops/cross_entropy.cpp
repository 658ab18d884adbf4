// SPDX-License-Identifier: MIT
// loss = mean(log_sum - logits[target])      dlogits = (softmax(logits) - [v == target]) / rows
#include "adaspan/ops/cross_entropy.h"

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 128;

/// The sum of the rows' losses; sets log_sum of each row.
double forward(Tensor& log_sum, const Tensor& logits, const Tensor& targets) {
  const int64_t V = logits.shape()[-1], rows = logits.shape().rows();
  const RowKernels<>& kernels = row_kernels();
  return sum_in_order(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t r = begin; r < end; ++r) {
      const float* const row = logits.data() + r * V;
      log_sum.data()[r] = kernels.log_sum_exp(row, V);
      sum += log_sum.data()[r] - row[targets.data<int32_t>()[r]];
    }
    return sum;
  });
}

/// d = (softmax(logits) - [v == target]) factor
void backward(Tensor& d, const Tensor& logits, const Tensor& targets, const Tensor& log_sum,
              float factor) {
  const int64_t V = logits.shape()[-1];
  const RowKernels<>& kernels = row_kernels();
  parallel_chunks(logits.shape().rows(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels.cross_entropy_backward(d.data() + r * V, logits.data() + r * V, log_sum.data()[r],
                                     targets.data<int32_t>()[r], factor, V);
    }
  });
}

}  // namespace

Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets) {
  const int64_t V = logits.shape()[-1], rows = logits.shape().rows();
  require(targets.elements() == rows, "[cross_entropy] expected {} targets for logits {}; got {}",
          rows, logits.shape().text(), targets.elements());
  require_f32("cross_entropy", logits);
  for (int32_t id : targets.values<int32_t>()) {
    require(id >= 0 && id < V, "[cross_entropy] expected targets in [0, {}); got {}", V, id);
  }

  const Timed timed("cross_entropy", 20.0 * logits.value().elements(), logits.value().bytes());
  Tensor log_sum({rows});
  const double loss = forward(log_sum, logits.value(), targets) / static_cast<double>(rows);

  // saved: logits, targets, each row's log-sum
  return tape.record(
      "cross_entropy", {logits}, Tensor::filled({1}, static_cast<float>(loss)),
      [dlogits = logits.grad(), logits = logits.shared_value(), targets = share(targets.clone()),
       log_sum = share(std::move(log_sum)), rows](const Tensor& dloss) {
        const Timed backward_timed("cross_entropy backward", 20.0 * logits->elements(),
                                   2.0 * logits->bytes());
        Tensor d(logits->shape());
        backward(d, *logits, *targets, *log_sum, dloss.item() / static_cast<float>(rows));
        dlogits.add(std::move(d));
      });
}

}  // namespace adaspan
