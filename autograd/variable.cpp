// SPDX-License-Identifier: MIT
#include "autograd/variable.h"

#include <cassert>

#include "core/error.h"
#include "core/parallel.h"

namespace adaspan {

void Gradient::add(Tensor d) {
  assert(!d.empty() && d.type() == DType::f32);
  require(d.shape() == shape_, "[{}] expected a gradient of shape {}; got {}", name_, shape_.text(),
          d.shape().text());
  if (sum_.empty()) {
    sum_ = std::move(d);
    return;
  }
  constexpr int64_t kChunk = 1 << 14;
  parallel_chunks(sum_.elements(), kChunk, [&](int64_t begin, int64_t end) {
    float* sum = sum_.data();
    const float* more = d.data();
    for (int64_t i = begin; i < end; ++i) sum[i] += more[i];
  });
}

Parameter::Parameter(std::string name, Tensor initial)
    : value_(std::make_shared<Tensor>(std::move(initial))),
      gradient_(std::make_shared<Gradient>(value_->shape(), std::move(name))) {}

}  // namespace adaspan
