// SPDX-License-Identifier: MIT
// An exponential moving average of the weights (Polyak, Juditsky 1992), which often predicts better
// than the weights of any one step. After update t = 1, 2, ...
//   a += (1 - d) (w - a),   d = min(D, (1 + t) / (10 + t)),
// so that the first updates, which move far, are soon forgotten.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <adaspan/autograd/variable.h>

namespace adaspan {

/// The name of a parameter's average in files: "ema.<parameter>".
std::string average_name(const std::string& parameter);

class WeightAverage {
 public:
  /// Of parameters that outlive it, beginning with what they are now; D in (0, 1).
  WeightAverage(std::vector<Parameter*> parameters, double decay);

  /// Takes in the weights of now. An average of values within a parameter's bounds is within them.
  void update();
  /// Begins anew with the weights of now.
  void restart();

  /// How many updates it has taken in.
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }

  /// One f32 tensor like each parameter, named average_name(); to be written, or to be filled by
  /// copying.
  std::vector<std::pair<std::string, Tensor*>> state();

 private:
  std::vector<Parameter*> parameters_;
  std::vector<Tensor> averages_;
  double decay_;
  int64_t updates_ = 0;
};

}  // namespace adaspan
