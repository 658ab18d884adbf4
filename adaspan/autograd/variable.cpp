// SPDX-License-Identifier: MIT
#include "adaspan/autograd/variable.h"

#include <algorithm>
#include <cassert>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

void add_to(float* sum, const float* more, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] += more[i];
}
void add_to(bf16* sum, const bf16* more, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] = to_bf16(to_float(sum[i]) + to_float(more[i]));
}

}  // namespace

void Gradient::add(Tensor d) {
  assert(!d.empty());
  require(d.shape() == shape_, "[{}] expected a gradient of shape {}; got {}", name_, shape_.text(),
          d.shape().text());
  require(d.type() == type_, "[{}] expected a gradient of type {}; got {}", name_,
          adaspan::name(type_), adaspan::name(d.type()));
  if (sum_.empty()) {
    sum_ = std::move(d);
    return;
  }
  const Timed timed("added gradients", sum_.elements(), 3.0 * sum_.bytes());
  constexpr int64_t kChunk = 1 << 14;
  parallel_chunks(sum_.elements(), kChunk, [&](int64_t begin, int64_t end) {
    with_type(type_, [&]<class T>(T) {
      add_to(sum_.data<T>() + begin, d.data<T>() + begin, end - begin);
    });
  });
}

Parameter::Parameter(std::string name, Tensor initial, std::optional<Bounds> bounds)
    : value_(std::make_shared<Tensor>(std::move(initial))),
      gradient_(std::make_shared<Gradient>(value_->shape(), std::move(name))),
      bounds_(bounds) {}

void Parameter::keep_bounds(int64_t begin, int64_t n) {
  if (!bounds_) return;
  float* const x = value_->data();
  for (int64_t i = begin; i < begin + n; ++i) x[i] = std::clamp(x[i], bounds_->low, bounds_->high);
}

}  // namespace adaspan
