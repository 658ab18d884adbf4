// SPDX-License-Identifier: MIT
// Reverse-mode automatic differentiation. Each op that runs appends one entry: how the gradient of
// its output becomes gradients of its inputs. Going through the entries once, last to first, is the
// whole backward pass, since an entry's inputs were all made before it:
//
//   for entry from last to first:  dy = d(loss)/d(output);  for each input x:  dx += dy * dy/dx
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <adaspan/autograd/variable.h>

namespace adaspan {

/// Turns dy, the gradient of an op's output, into contributions to the gradients of its inputs.
using Backward = std::function<void(Tensor dy)>;

class Tape {
 public:
  /// evaluation: nothing is recorded and nothing saved, so each value goes as soon as it was used.
  enum class Mode { recording, evaluation };
  explicit Tape(Mode mode = Mode::recording) : mode_(mode) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return mode_ == Mode::recording; }

  /// Appends the op that made `output` from `inputs`. `backward` captures exactly what it reads.
  /// Called by ops only.
  Variable record(std::string op, std::vector<Variable> inputs, Value output, Backward backward);
  Variable record(std::string op, std::vector<Variable> inputs, Tensor output, Backward backward) {
    return record(std::move(op), std::move(inputs), share(std::move(output)), std::move(backward));
  }

  /// Adds d(loss)/d(parameter) to the gradient of every parameter that `loss` was computed from.
  /// Entries, and the values they saved, are released as they are passed; the tape is empty after.
  /// Throws Error unless `loss` is a recorded scalar.
  void backward(const Variable& loss);
  /// The same from any recorded value y: adds dy * dy/d(parameter), `dy` being the gradient of y.
  /// Throws Error unless y was recorded, and as Gradient::add does.
  void backward(const Variable& y, Tensor dy);

  struct Entry {
    std::string op;
    std::vector<std::shared_ptr<const Gradient>> inputs;  // of those that have one; for drawing
    std::shared_ptr<Gradient> output;
    Backward backward;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void check_recorded(const Variable& y) const;

  Mode mode_;
  std::vector<Entry> entries_;
};

}  // namespace adaspan
