// SPDX-License-Identifier: MIT
#include "adaspan/train/optim/weight_average.h"

#include <algorithm>
#include <cstring>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

constexpr int64_t kChunk = 1 << 14;

/// a += c (w - a); kept within bounds, which rounding may step over
void approach(float* a, const float* w, float c, const std::optional<Bounds>& bounds, int64_t n) {
  for (int64_t i = 0; i < n; ++i) a[i] += c * (w[i] - a[i]);
  if (!bounds) return;
  for (int64_t i = 0; i < n; ++i) a[i] = std::clamp(a[i], bounds->low, bounds->high);
}

}  // namespace

std::string average_name(const std::string& parameter) {
  return "ema." + parameter;
}

WeightAverage::WeightAverage(std::vector<Parameter*> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  for (const Parameter* p : parameters_) averages_.emplace_back(p->shape());
  restart();
}

void WeightAverage::restart() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& w = parameters_[i]->value();
    std::memcpy(averages_[i].data(), w.data(), w.bytes());
  }
  updates_ = 0;
}

void WeightAverage::update() {
  updates_ += 1;
  const auto t = static_cast<double>(updates_);
  const auto c = static_cast<float>(1 - std::min(decay_, (1 + t) / (10 + t)));
  double elements = 0;
  for (const Tensor& a : averages_) elements += static_cast<double>(a.elements());
  const Timed timed("weight average", 3 * elements, 12 * elements);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = *parameters_[i];
    const float* const w = p.value().data();
    float* const a = averages_[i].data();
    parallel_chunks(averages_[i].elements(), kChunk, [&](int64_t begin, int64_t end) {
      approach(a + begin, w + begin, c, p.bounds(), end - begin);
    });
  }
}

std::vector<std::pair<std::string, Tensor*>> WeightAverage::state() {
  std::vector<std::pair<std::string, Tensor*>> all;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    all.emplace_back(average_name(parameters_[i]->name()), &averages_[i]);
  }
  return all;
}

}  // namespace adaspan
