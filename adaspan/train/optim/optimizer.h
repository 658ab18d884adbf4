// SPDX-License-Identifier: MIT
// Update rules, exactly those of the paper's released code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <adaspan/autograd/variable.h>
#include <adaspan/core/safetensors.h>

namespace adaspan {

enum class OptimizerKind { sgd, adagrad, adam };
/// Numbers that an optimizer of this kind remembers of each weight.
inline int64_t state_slots(OptimizerKind kind) {
  return kind == OptimizerKind::adam ? 2 : 1;
}

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.9;  ///< of sgd
  double grad_clip = 0;   ///< largest gradient norm that counts in full; 0: no clipping
  double average = 0;     ///< D, how slowly an average of the weights follows them; 0: none
};

/// Lengths of the gradients of parameters: sqrt of the sum of squares, added in double, in an order
/// that depends on the sizes alone.
struct GradientNorms {
  std::vector<double> each;  ///< of each parameter's; 0 without a gradient
  double all = 0;            ///< over all of them
};
GradientNorms gradient_norms(const std::vector<Parameter*>& parameters);

/// Share of the gradients whose length an update cuts: with adagrad of each by itself, with others
/// of all or none; 0 without clipping.
double clipped_share(const OptimizerConfig& config, const GradientNorms& norms);

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates every parameter from its gradient and keeps it within its bounds; `step` counts
  /// updates from 1, and `norms` are those of the gradients, which the caller has looked at before.
  /// Gradients stay as they are: the caller clears them.
  void update(double learning_rate, int64_t step, const GradientNorms& norms);
  void update(double learning_rate, int64_t step) {
    update(learning_rate, step, gradient_norms(parameters_));
  }

  /// What the optimizer remembers: one tensor per parameter and slot, named
  /// "optim.<slot>.<parameter>"; to be written, or to be filled by copying.
  std::vector<std::pair<std::string, Tensor*>> state();

 protected:
  /// One tensor like each parameter, zero at first, for each slot.
  Optimizer(std::vector<Parameter*> parameters, std::vector<std::string> slots);

  /// Computes all numbers that the updates of this step share.
  virtual void prepare(double learning_rate, int64_t step, const GradientNorms& norms) = 0;
  /// Updates elements begin .. begin+n-1 of parameter `i`, which has a gradient.
  virtual void update_piece(size_t i, int64_t begin, int64_t n) = 0;

  float* values(size_t i) { return parameters_[i]->value().data(); }
  const float* gradient(size_t i) const { return parameters_[i]->grad().data(); }
  float* slot(size_t which, size_t i) { return slots_[which].tensors[i].data(); }

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

/// lr min(1, step / warmup), step from 1; no warm-up if `warmup` is 0.
double learning_rate_at(int64_t step, double lr, int64_t warmup);

}  // namespace adaspan
