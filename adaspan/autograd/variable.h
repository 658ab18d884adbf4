// SPDX-License-Identifier: MIT
// A Variable is a value in a computation, together with the place where its gradient is summed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <adaspan/core/tensor.h>

namespace adaspan {

/// Where the gradient of one value is summed: d(loss)/d(value), of the value's type. Ops write to
/// it through add() and add_by() only, so gradients accumulate, and a wrong shape cannot pass.
class Gradient {
 public:
  /// `type`: f32, or bf16: then each sum is taken in f32 and rounded.
  Gradient(Shape shape, std::string name, DType type = DType::f32)
      : shape_(std::move(shape)), type_(type), name_(std::move(name)) {}

  /// sum += d. Throws Error when the shape or the type of `d` is not the value's.
  void add(Tensor d);
  /// Lets write(sum, accumulate) add to the sum in place: to a fresh tensor, whose every element it
  /// sets (accumulate = false), or to what is there, to which it adds (true).
  template <class Write>
  void add_by(const Write& write) {
    if (!sum_.empty()) return write(sum_, true);
    Tensor fresh(shape_, type_);
    write(fresh, false);
    sum_ = std::move(fresh);
  }
  /// The sum so far; an empty tensor if nothing was added.
  const Tensor& sum() const { return sum_; }
  /// Takes the sum away and leaves nothing.
  Tensor take() { return std::exchange(sum_, Tensor()); }

  const Shape& shape() const { return shape_; }
  DType type() const { return type_; }
  /// The parameter's name, or the op that made the value.
  const std::string& name() const { return name_; }

 private:
  Shape shape_;
  DType type_;
  std::string name_;
  Tensor sum_;
};

/// An op's handle on the gradient of one of its inputs; what nobody asks for need not be computed.
class GradientRef {
 public:
  GradientRef() = default;
  explicit GradientRef(std::shared_ptr<Gradient> gradient) : gradient_(std::move(gradient)) {}
  bool wanted() const { return gradient_ != nullptr; }
  void add(Tensor d) const { gradient_->add(std::move(d)); }
  template <class Write>
  void add_by(const Write& write) const {
    gradient_->add_by(write);
  }

 private:
  std::shared_ptr<Gradient> gradient_;
};

/// Shared so that an op may save a value for its backward pass without copying it.
using Value = std::shared_ptr<const Tensor>;
inline Value share(Tensor tensor) {
  return std::make_shared<const Tensor>(std::move(tensor));
}

class Variable {
 public:
  /// Absent: for optional arguments such as a bias.
  Variable() = default;
  Variable(Value value, std::shared_ptr<Gradient> gradient)
      : value_(std::move(value)), gradient_(std::move(gradient)) {}
  /// A value that needs no gradient: input data, cached memory.
  static Variable constant(Tensor value) { return {share(std::move(value)), nullptr}; }

  explicit operator bool() const { return value_ != nullptr; }
  const Tensor& value() const { return *value_; }
  /// The value, to be saved for a backward pass.
  const Value& shared_value() const { return value_; }
  const Shape& shape() const { return value_->shape(); }
  DType type() const { return value_->type(); }
  bool requires_grad() const { return gradient_ != nullptr; }
  GradientRef grad() const { return GradientRef(gradient_); }
  const std::shared_ptr<Gradient>& shared_gradient() const { return gradient_; }

 private:
  Value value_;
  std::shared_ptr<Gradient> gradient_;
};

/// The range [low, high] in which every value of a parameter lies.
struct Bounds {
  float low, high;
};

/// A trained tensor: the only values that change. Its gradient stays after the backward pass, for
/// the optimizer, which keeps the values within the bounds, if there are any.
class Parameter {
 public:
  Parameter(std::string name, Tensor initial, std::optional<Bounds> bounds = {});
  Parameter(const Parameter&) = delete;  // modules hold references to it
  Parameter& operator=(const Parameter&) = delete;

  const std::string& name() const { return gradient_->name(); }
  const Shape& shape() const { return value_->shape(); }
  Tensor& value() { return *value_; }
  const Tensor& value() const { return *value_; }
  /// d(loss)/d(value), summed over the backward passes since clear_grad(); empty if there was none.
  const Tensor& grad() const { return gradient_->sum(); }
  void clear_grad() { gradient_->take(); }
  const std::optional<Bounds>& bounds() const { return bounds_; }
  /// Moves elements begin .. begin+n-1 that are out of bounds to the nearest value within. Every
  /// update ends with it.
  void keep_bounds(int64_t begin, int64_t n);
  /// For use in a computation.
  Variable variable() const { return {value_, gradient_}; }

 private:
  std::shared_ptr<Tensor> value_;
  std::shared_ptr<Gradient> gradient_;
  std::optional<Bounds> bounds_;
};

}  // namespace adaspan
