// SPDX-License-Identifier: MIT
#include "adaspan/ops/layer_norm.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

constexpr int64_t kRowsPerChunk = 128;

/// d (+)= the rows of parts [chunks, H]
void add_parts(const GradientRef& d, const Tensor& parts) {
  const int64_t H = parts.shape()[1];
  d.add_by([&](Tensor& sum, bool accumulate) {
    if (!accumulate) std::fill_n(sum.data(), H, 0.0f);
    add_in_order(parts.shape()[0], H, H, [&](int64_t part, int64_t, int64_t) {
      row_kernels().add_to_sums(sum.data(), parts.data() + part * H, H);
    });
  });
}

template <class T>
void forward(Tensor& y, Tensor& mean, Tensor& rstd, const Tensor& x, const Tensor& gain,
             const Tensor& bias) {
  const int64_t H = x.shape()[-1];
  const RowKernels<T>& kernels = row_kernels<T>();
  parallel_chunks(x.shape().rows(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels.layer_norm(y.data<T>() + r * H, mean.data() + r, rstd.data() + r, x.data<T>() + r * H,
                         gain.data(), bias.data(), kLayerNormEpsilon, H);
    }
  });
}

/// Turns dy into dx, and sets dgain and dbias [chunks, H] to the parts that each chunk of rows
/// adds.
template <class T>
void backward(Tensor& dy, Tensor& dgain, Tensor& dbias, const Tensor& x, const Tensor& gain,
              const Tensor& mean, const Tensor& rstd) {
  const int64_t H = x.shape()[-1];
  const RowKernels<T>& kernels = row_kernels<T>();
  parallel_parts(x.shape().rows(), kRowsPerChunk, [&](int64_t part, int64_t begin, int64_t end) {
    float* const dg = dgain.data() + part * H;
    float* const db = dbias.data() + part * H;
    std::fill_n(dg, H, 0.0f);
    std::fill_n(db, H, 0.0f);
    for (int64_t r = begin; r < end; ++r) {
      T* const d = dy.data<T>() + r * H;
      kernels.layer_norm_backward(d, dg, db, d, x.data<T>() + r * H, gain.data(), mean.data()[r],
                                  rstd.data()[r], H);
    }
  });
}

}  // namespace

Variable layer_norm(Tape& tape, const Variable& x, const Variable& gain, const Variable& bias) {
  const int64_t H = x.shape()[-1], rows = x.shape().rows();
  require(gain.shape() == Shape{H} && bias.shape() == Shape{H},
          "[layer_norm] expected gain and bias [{}] for x {}; got {} and {}", H, x.shape().text(),
          gain.shape().text(), bias.shape().text());
  require_f32("layer_norm", gain);
  require_f32("layer_norm", bias);

  const Timed timed("layer_norm", 8.0 * x.value().elements(), 2.0 * x.value().bytes());
  Tensor y(x.shape(), x.type());
  Tensor mean({rows}), rstd({rows});
  with_type(x.type(),
            [&]<class T>(T) { forward<T>(y, mean, rstd, x.value(), gain.value(), bias.value()); });

  // saved: x, gain, and each row's mean and 1/deviation
  return tape.record("layer_norm", {x, gain, bias}, std::move(y),
                     [dx = x.grad(), dgain = gain.grad(), dbias = bias.grad(), x = x.shared_value(),
                      gain = gain.shared_value(), mean = share(std::move(mean)),
                      rstd = share(std::move(rstd)), H, rows](Tensor dy) {
                       const Timed backward_timed("layer_norm backward", 15.0 * dy.elements(),
                                                  3.0 * dy.bytes());
                       const int64_t chunks = chunk_count(rows, kRowsPerChunk);
                       Tensor gain_parts({chunks, H}), bias_parts({chunks, H});
                       with_type(x->type(), [&]<class T>(T) {
                         backward<T>(dy, gain_parts, bias_parts, *x, *gain, *mean, *rstd);
                       });
                       if (dgain.wanted()) add_parts(dgain, gain_parts);
                       if (dbias.wanted()) add_parts(dbias, bias_parts);
                       if (dx.wanted()) dx.add(std::move(dy));
                     });
}

}  // namespace adaspan
