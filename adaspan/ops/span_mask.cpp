// SPDX-License-Identifier: MIT
// m = clamp(raw, 0, 1), raw = (R + z - u) / R      dz = sum over u with 0 <= raw <= 1 of dm / R
#include "adaspan/ops/span_mask.h"

#include <algorithm>
#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/require_f32.h"

namespace adaspan {
namespace {

/// Calls body(j, raw) for each column; column j is u = E-1-j.
template <class Body>
void for_each_column(float z, int64_t E, int64_t ramp, const Body& body) {
  const auto R = static_cast<float>(ramp);
  for (int64_t j = 0; j < E; ++j) body(j, (R + z - static_cast<float>(E - 1 - j)) / R);
}

/// `steps`, a whole number, within [1, S].
int64_t whole_steps(double steps, int64_t S) {
  if (!(steps > 1)) return 1;  // nor is NaN, which the mask hands on, and the loss shows
  return steps < static_cast<double>(S) ? static_cast<int64_t>(steps) : S;
}

}  // namespace

int64_t span_reach(double z, int64_t ramp, int64_t span_limit) {
  return whole_steps(std::ceil(z) + static_cast<double>(ramp), span_limit);
}

int64_t effective_span(float z, int64_t ramp, int64_t span_limit) {
  return whole_steps(std::floor(z + static_cast<float>(ramp)) + 1, span_limit);
}

Variable span_mask(Tape& tape, const Variable& z, int64_t E, int64_t ramp) {
  require(E >= 1 && ramp >= 1, "[span_mask] expected E and R of at least 1; got {} and {}", E,
          ramp);
  require(z.shape().elements() == z.shape().rows() && z.shape().rank() >= 1,
          "[span_mask] expected spans [1] or [M,B,1]; got {}", z.shape().text());
  require_f32("span_mask", z);
  const int64_t rows = z.shape().rows();
  Tensor m(z.shape().rank() == 1 ? Shape{1, E} : z.shape().with_last(E));
  parallel_chunks(rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for_each_column(z.value().data()[r], E, ramp, [&](int64_t j, float raw) {
        m.data()[r * E + j] = std::clamp(raw, 0.0f, 1.0f);
      });
    }
  });
  // saved: z
  return tape.record("span_mask", {z}, std::move(m),
                     [dz = z.grad(), z = z.shared_value(), E, ramp](const Tensor& dm) {
                       Tensor d = Tensor::zeros(z->shape());
                       parallel_chunks(d.elements(), 256, [&](int64_t begin, int64_t end) {
                         for (int64_t r = begin; r < end; ++r) {
                           for_each_column(z->data()[r], E, ramp, [&](int64_t j, float raw) {
                             if (raw >= 0 && raw <= 1) d.data()[r] += dm.data()[r * E + j];
                           });
                           d.data()[r] /= static_cast<float>(ramp);
                         }
                       });
                       dz.add(std::move(d));
                     });
}

Variable missing_steps(int64_t M, int64_t B, int64_t E, int64_t missing) {
  Tensor score({M, B, E});
  for (int64_t t = 0; t < M; ++t) {
    const int64_t unknown = std::clamp<int64_t>(missing - t, 0, E);
    for (int64_t b = 0; b < B; ++b) {
      float* row = score.data() + (t * B + b) * E;
      std::fill(std::fill_n(row, unknown, -1e30f), row + E, 0.0f);
    }
  }
  return Variable::constant(std::move(score));
}

}  // namespace adaspan
