// SPDX-License-Identifier: MIT
#include "ops/layer_norm.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 128;

/// Adds the rows of partial [chunks, n] in their order.
Tensor add_chunks(const Tensor& partial) {
  const int64_t n = partial.shape()[1];
  Tensor sum = Tensor::zeros({n});
  for (int64_t c = 0; c < partial.shape()[0]; ++c) {
    row_kernels().add_scaled(sum.data(), 1, partial.data() + c * n, n);
  }
  return sum;
}

}  // namespace

Variable layer_norm(Tape& tape, const Variable& x, const Variable& gain, const Variable& bias) {
  const int64_t H = x.shape()[-1], rows = x.shape().rows();
  require(gain.shape() == Shape{H} && bias.shape() == Shape{H},
          "[layer_norm] expected gain and bias [{}] for x {}; got {} and {}", H, x.shape().text(),
          gain.shape().text(), bias.shape().text());

  Tensor y(x.shape());
  Tensor mean({rows}), rstd({rows});
  parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      row_kernels().layer_norm(y.data() + r * H, mean.data() + r, rstd.data() + r,
                               x.value().data() + r * H, gain.value().data(), bias.value().data(),
                               kLayerNormEpsilon, H);
    }
  });

  // saved: x, gain, and each row's mean and 1/deviation
  return tape.record(
      "layer_norm", {x, gain, bias}, std::move(y),
      [dx = x.grad(), dgain = gain.grad(), dbias = bias.grad(), x = x.shared_value(),
       gain = gain.shared_value(), mean = share(std::move(mean)), rstd = share(std::move(rstd)), H,
       rows](const Tensor& dy) {
        const int64_t chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
        Tensor d(x->shape());
        Tensor gain_sums = Tensor::zeros({chunks, H}), bias_sums = Tensor::zeros({chunks, H});
        parallel_chunks(rows, kRowsPerChunk, [&](int64_t begin, int64_t end) {
          const int64_t sums = begin / kRowsPerChunk * H;
          for (int64_t r = begin; r < end; ++r) {
            row_kernels().layer_norm_backward(d.data() + r * H, gain_sums.data() + sums,
                                              bias_sums.data() + sums, dy.data() + r * H,
                                              x->data() + r * H, gain->data(), mean->data()[r],
                                              rstd->data()[r], H);
          }
        });
        if (dgain.wanted()) dgain.add(add_chunks(gain_sums));
        if (dbias.wanted()) dbias.add(add_chunks(bias_sums));
        if (dx.wanted()) dx.add(std::move(d));
      });
}

}  // namespace adaspan
