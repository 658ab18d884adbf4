// SPDX-License-Identifier: MIT
#include "adaspan/train/run/divergence_guard.h"

#include <algorithm>
#include <cmath>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

constexpr double kDecay = 0.99;
constexpr double kLeastNorm = 1e-30;  // whose logarithm is a number

}  // namespace

bool DivergenceGuard::diverged(double loss, double gradient_norm) const {
  if (!std::isfinite(loss) || !std::isfinite(gradient_norm)) return true;
  const bool knows = config_.factor > 0 && state_.accepted >= kFirstSteps;
  return knows && gradient_norm > config_.factor * mean_norm();
}

double DivergenceGuard::mean_norm() const {
  return std::exp(state_.mean_log / (1 - std::pow(kDecay, static_cast<double>(state_.accepted))));
}

void DivergenceGuard::accept(double gradient_norm) {
  const double log_norm = std::log(std::max(gradient_norm, kLeastNorm));
  state_.mean_log = kDecay * state_.mean_log + (1 - kDecay) * log_norm;
  state_.accepted += 1;
  state_.in_a_row = 0;
}

void DivergenceGuard::skip() {
  state_.skips += 1;
  state_.in_a_row += 1;
}

void DivergenceGuard::restore(const State& state) {
  const bool counts =
      std::min({state.skips, state.in_a_row, state.accepted}) >= 0 && state.in_a_row <= state.skips;
  require(counts && std::isfinite(state.mean_log),
          "[train] expected counts of skipped and accepted steps, and a mean of gradients; got "
          "{}, {}, {} and {}; the checkpoint is damaged",
          state.skips, state.in_a_row, state.accepted, state.mean_log);
  state_ = state;
}

}  // namespace adaspan
