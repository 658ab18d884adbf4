// SPDX-License-Identifier: MIT
// Update rules, in the reference's exact semantics (spec section 5).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "core/safetensors.h"

namespace adaspan {

enum class OptimizerKind { sgd, adagrad, adam };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0;   ///< of sgd
  double grad_clip = 0;  ///< largest gradient norm that counts in full; 0: no clipping
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates every parameter from its gradient; `step` counts updates from 1. Gradients stay as
  /// they are: the caller clears them.
  void update(double learning_rate, int64_t step);

  /// The optimizer's memory, one tensor a parameter and slot, named "optim.<slot>.<parameter>"; to
  /// be written, or to be filled by copying.
  std::vector<std::pair<std::string, Tensor*>> state();

 protected:
  /// One tensor like each parameter, zero at first, for each slot.
  Optimizer(std::vector<Parameter*> parameters, std::vector<std::string> slots);

  /// Updates parameter `i`, which has a gradient.
  virtual void update_one(size_t i, double learning_rate, int64_t step) = 0;
  /// Looks at all gradients before the first update_one.
  virtual void prepare() {}

  Parameter& parameter(size_t i) { return *parameters_[i]; }
  const std::vector<Parameter*>& parameters() const { return parameters_; }
  Tensor& slot(size_t which, size_t i) { return slots_[which].tensors[i]; }

 private:
  struct Slot {
    std::string name;
    std::vector<Tensor> tensors;
  };
  std::vector<Parameter*> parameters_;
  std::vector<Slot> slots_;
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          std::vector<Parameter*> parameters);

/// sqrt of the sum of squares; of one tensor, or over the gradients of all parameters. Added in
/// double, in an order that depends on the sizes alone.
double norm(const Tensor& tensor);
double gradient_norm(const std::vector<Parameter*>& parameters);

/// lr min(1, step / warmup), step from 1; no warm-up if `warmup` is 0.
double learning_rate_at(int64_t step, double lr, int64_t warmup);

}  // namespace adaspan
