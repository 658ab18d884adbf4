// SPDX-License-Identifier: MIT
// y_h = x_h w_h^T      dw_h = dy_h^T x_h      (x_h: the last reach_h steps of the memory)
#include "ops/memory_projection.h"

#include <numeric>

#include "core/error.h"
#include "ops/gemm.h"

namespace adaspan {
namespace {

/// Calls body(x_h, rows of w before w_h, elements of y before y_h) for each head that looks back.
template <class Body>
void for_each_head(const Tensor& memory, int64_t D, const std::vector<int64_t>& reaches,
                   const Body& body) {
  const int64_t C = memory.shape()[0], B = memory.shape()[1], H = memory.shape()[2];
  int64_t y_begin = 0;
  for (size_t h = 0; h < reaches.size(); ++h) {
    const int64_t rows = reaches[h] * B;
    if (rows > 0) {
      body(matrix(memory.data() + (C - reaches[h]) * B * H, rows, H), static_cast<int64_t>(h) * D,
           y_begin);
    }
    y_begin += rows * D;
  }
}

}  // namespace

Variable memory_projection(Tape& tape, const Value& memory, const Variable& w,
                           const std::vector<int64_t>& reaches) {
  const auto K = static_cast<int64_t>(reaches.size());
  require(memory->shape().rank() == 3 && w.shape().rank() == 2 && K > 0 &&
              w.shape()[1] == memory->shape()[2] && w.shape()[0] % K == 0,
          "[memory_projection] expected memory [C,B,H] and w [K*D,H] for {} heads; got {} and {}",
          K, memory->shape().text(), w.shape().text());
  const int64_t C = memory->shape()[0], B = memory->shape()[1], H = memory->shape()[2];
  const int64_t D = w.shape()[0] / K;
  for (int64_t reach : reaches) {
    require(reach >= 0 && reach <= C, "[memory_projection] expected reaches in [0, {}]; got {}", C,
            reach);
  }

  const int64_t total = std::accumulate(reaches.begin(), reaches.end(), int64_t{0});
  Tensor y({total, B, D});
  for_each_head(*memory, D, reaches, [&](ConstMatrix x, int64_t w_row, int64_t y_begin) {
    gemm(matrix(y.data() + y_begin, x.rows, D), x,
         matrix(w.value().data() + w_row * H, D, H).transposed());
  });

  // saved: memory
  return tape.record("memory_projection", {w}, std::move(y),
                     [dw = w.grad(), shape = w.shape(), memory, reaches, D, H](const Tensor& dy) {
                       Tensor d = Tensor::zeros(shape);
                       for_each_head(
                           *memory, D, reaches, [&](ConstMatrix x, int64_t w_row, int64_t y_begin) {
                             gemm_long_sums(matrix(d.data() + w_row * H, D, H),
                                            matrix(dy.data() + y_begin, x.rows, D).transposed(), x);
                           });
                       dw.add(std::move(d));
                     });
}

}  // namespace adaspan
