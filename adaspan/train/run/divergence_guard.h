// SPDX-License-Identifier: MIT
// What becomes of a step that has diverged: whose loss or gradient is not finite, or, with a
// factor F, whose gradient is longer than F times the running mean of those of accepted steps. The
// mean is geometric: one gradient of 1e12 among a hundred of 1 would make any other mean useless.
#pragma once

#include <cstdint>

namespace adaspan {

enum class OnDivergence {
  stop,  ///< the run ends with an error
  skip   ///< the step makes no update, and the run goes on
};

struct DivergenceConfig {
  OnDivergence action = OnDivergence::stop;
  int64_t most_skips = 10;  ///< in a row; the next one ends the run
  double factor = 0;        ///< F; 0: any finite gradient will do
};

class DivergenceGuard {
 public:
  /// Steps that the running mean is of before it counts.
  static constexpr int64_t kFirstSteps = 100;

  struct State {
    int64_t skips = 0;     ///< in all
    int64_t in_a_row = 0;  ///< of these, since the last accepted step
    int64_t accepted = 0;  ///< steps that the mean is of
    double mean_log = 0;   ///< of ln x, x their gradient norms: m = 0.99 m + 0.01 ln x from m = 0
  };

  explicit DivergenceGuard(const DivergenceConfig& config) : config_(config) {}

  bool diverged(double loss, double gradient_norm) const;
  /// The geometric mean of the norms of accepted steps, e^(m / (1 - 0.99^accepted)).
  double mean_norm() const;
  /// Whether one more step may be skipped.
  bool may_skip() const {
    return config_.action == OnDivergence::skip && state_.in_a_row < config_.most_skips;
  }
  void accept(double gradient_norm);
  void skip();

  const State& state() const { return state_; }
  /// Throws Error when a count is below 0 or the mean is not finite.
  void restore(const State& state);

 private:
  DivergenceConfig config_;
  State state_;
};

}  // namespace adaspan
