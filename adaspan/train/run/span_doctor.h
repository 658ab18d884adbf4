// SPDX-License-Identifier: MIT
// Which way each head's span is pushed, and by what. Two gradients meet at a head's z:
//   of the loss       d(nll)/dz, of all tokens together: below 0 where looking further helps
//   of the penalty    lambda / K, the price of a step of span, always towards shorter
// Their sum moves z; at 0 and at S it may push on, and the head is held. A single step's gradient
// is mostly noise: what counts is its running mean.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/models/transformer.h>

namespace adaspan {

/// The gradient of the span loss by one head's z; of a dynamic head, by all its z together. 0 where
/// spans are fixed.
double span_penalty(const ModelConfig& config);

/// Exponential running means over about 1,000 steps, m = 0.999 m + 0.001 x from m = 0, in double.
class SpanDoctor {
 public:
  /// Steps before it may warn, and from one warning to the next.
  static constexpr int64_t kFirstWarning = 1000, kBetweenWarnings = 10000;
  /// So many times the loss's gradient is too high a penalty.
  static constexpr double kTooMuch = 10;

  struct State {
    int64_t steps = 0;        ///< that the means are of
    SpanGradients gradients;  ///< of each layer and head, m as it stands
    SpanGradients z;          ///< the same of mean z
    int64_t warned = 0;       ///< step of the last warning; 0: none yet
  };

  /// What one step gave, of each layer and head; nothing where spans are fixed.
  void add(const SpanGradients& gradients, const std::vector<std::vector<float>>& mean_z);
  /// The means, m / (1 - 0.999^steps); empty before the first step.
  SpanGradients mean_gradients() const { return corrected(state_.gradients); }
  SpanGradients mean_z() const { return corrected(state_.z); }

  /// Whether step `step` is to warn that the penalty is more than 10 times the loss's gradient in
  /// every head: spans then shrink whatever the text is like. Remembers that it did.
  bool warns(int64_t step, double penalty);

  const State& state() const { return state_; }
  /// Throws Error when the means are not of L layers of K heads.
  void restore(State state, int64_t L, int64_t K);

 private:
  SpanGradients corrected(const SpanGradients& means) const;

  State state_;
};

/// What keeps a head at the end of its range.
enum class SpanHold {
  none,                ///< it is within, or on its way there
  at_zero_by_penalty,  ///< the loss would lengthen it, or does not care
  at_zero_by_loss,     ///< the loss would shorten it
  at_zero_by_both,
  at_limit_by_loss  ///< the loss would lengthen it beyond S
};
/// "held at 0 by the penalty"; empty for none.
const char* name(SpanHold hold);

/// Of a head with mean gradients `loss` and `penalty`, at one of the ends or not.
SpanHold hold_of(double loss, double penalty, bool at_zero, bool at_limit);

}  // namespace adaspan
