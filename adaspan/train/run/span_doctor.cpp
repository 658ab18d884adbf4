// SPDX-License-Identifier: MIT
#include "adaspan/train/run/span_doctor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

constexpr double kDecay = 0.999;

template <class T>
void add_to_means(SpanGradients& means, const std::vector<std::vector<T>>& step) {
  means.resize(step.size());
  for (size_t l = 0; l < step.size(); ++l) {
    means[l].resize(step[l].size(), 0.0);
    for (size_t h = 0; h < step[l].size(); ++h) {
      means[l][h] = kDecay * means[l][h] + (1 - kDecay) * static_cast<double>(step[l][h]);
    }
  }
}

bool is_of(const SpanGradients& means, int64_t L, int64_t K) {
  return std::ssize(means) == L &&
         std::ranges::all_of(means, [&](const auto& layer) { return std::ssize(layer) == K; });
}

}  // namespace

double span_penalty(const ModelConfig& config) {
  if (config.span_kind == SpanKind::fixed) return 0;
  return static_cast<double>(config.span_loss) / static_cast<double>(config.heads);
}

void SpanDoctor::add(const SpanGradients& gradients,
                     const std::vector<std::vector<float>>& mean_z) {
  if (gradients.empty()) return;
  add_to_means(state_.gradients, gradients);
  add_to_means(state_.z, mean_z);
  state_.steps += 1;
}

SpanGradients SpanDoctor::corrected(const SpanGradients& means) const {
  SpanGradients all = means;
  const double share = 1 - std::pow(kDecay, static_cast<double>(state_.steps));
  for (auto& layer : all) {
    for (double& mean : layer) mean /= share;
  }
  return all;
}

bool SpanDoctor::warns(int64_t step, double penalty) {
  if (state_.steps < kFirstWarning) return false;
  if (state_.warned > 0 && step - state_.warned < kBetweenWarnings) return false;
  const SpanGradients means = mean_gradients();
  const bool too_much = std::ranges::all_of(means, [&](const auto& layer) {
    return std::ranges::all_of(layer,
                               [&](double loss) { return penalty > kTooMuch * std::abs(loss); });
  });
  if (too_much) state_.warned = step;
  return too_much;
}

void SpanDoctor::restore(State state, int64_t L, int64_t K) {
  require(state.steps == 0 || (is_of(state.gradients, L, K) && is_of(state.z, L, K)),
          "[train] expected the mean span gradients of {} layers of {} heads; got others; the "
          "checkpoint is damaged",
          L, K);
  state_ = std::move(state);
}

const char* name(SpanHold hold) {
  switch (hold) {
    case SpanHold::at_zero_by_penalty:
      return "held at 0 by the penalty";
    case SpanHold::at_zero_by_loss:
      return "held at 0 by the loss";
    case SpanHold::at_zero_by_both:
      return "held at 0 by both";
    case SpanHold::at_limit_by_loss:
      return "held at S by the loss";
    case SpanHold::none:
      break;
  }
  return "";
}

SpanHold hold_of(double loss, double penalty, bool at_zero, bool at_limit) {
  // An update goes against the gradient: a sum above 0 shortens.
  const double sum = loss + penalty;
  if (at_zero && sum > 0) {
    if (loss <= 0) return SpanHold::at_zero_by_penalty;
    return penalty > 0 ? SpanHold::at_zero_by_both : SpanHold::at_zero_by_loss;
  }
  return at_limit && sum < 0 ? SpanHold::at_limit_by_loss : SpanHold::none;
}

}  // namespace adaspan
