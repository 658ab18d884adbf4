// SPDX-License-Identifier: MIT
// One call that holds an op against its definition. The test writes the definition down again, in
// double precision and as plainly as it can, and check_op() compares
//   values      with the definition's,
//   gradients   of loss = sum(c y) with central finite differences of the definition's.
// c is random, since a plain sum hides mistakes: the sum of a softmax's row is 1 whatever its
// scale.
//
//   TEST_CASE("add is the sum of its inputs") {
//     check_op([](Tape& tape, const Variables& x) { return add(tape, x[0], x[1]); },
//              [](const Arrays& x) {
//                Array y(x[0].shape());
//                for (int64_t i = 0; i < y.elements(); ++i) y[i] = x[0][i] + x[1][i];
//                return y;
//              },
//              {random_tensor({3, 5}, 1), random_tensor({3, 5}, 2)});
//   }
#pragma once

#include <cassert>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <vector>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// Values in double precision for definitions that read like their equation.
class Array {
 public:
  /// All zeros.
  explicit Array(Shape shape);
  explicit Array(const Tensor& tensor);

  const Shape& shape() const { return shape_; }
  int64_t elements() const { return static_cast<int64_t>(values_.size()); }
  /// Element (i, j, ...); one index for each axis, and each within its extent.
  template <class... Indices>
  double& operator()(Indices... indices) {
    return values_[place({indices...})];
  }
  template <class... Indices>
  double operator()(Indices... indices) const {
    return values_[place({indices...})];
  }
  /// Element i in row-major order.
  double& operator[](int64_t i) { return values_.at(static_cast<size_t>(i)); }
  double operator[](int64_t i) const { return values_.at(static_cast<size_t>(i)); }

 private:
  size_t place(std::initializer_list<int64_t> indices) const {
    assert(static_cast<int64_t>(indices.size()) == shape_.rank());
    int64_t place = 0;
    auto extent = shape_.extents().begin();
    for (int64_t i : indices) {
      assert(i >= 0 && i < *extent);
      place = place * *extent++ + i;
    }
    return static_cast<size_t>(place);
  }

  Shape shape_;
  std::vector<double> values_;
};

using Variables = std::vector<Variable>;
using Arrays = std::vector<Array>;
/// The op under test, of the inputs that have a gradient; others are captured.
using Op = std::function<Variable(Tape& tape, const Variables& x)>;
/// What the op should compute, from the same inputs.
using Definition = std::function<Array(const Arrays& x)>;

/// Numbers uniform in [low, high), fixed by the seed. Among a few hundred of them none is close to
/// a given number (a kink), unless the seed is unlucky: then off_kink() tells.
Tensor random_tensor(Shape shape, uint64_t seed, double low = -1, double high = 1);

/// x, or NaN (which fails the test) if x is so close to a kink of the definition that a finite
/// difference or float rounding may step over it.
double off_kink(double x, double kink);

struct CheckOptions {
  /// Largest distance, norm-wise and relative. A float operation rounds by 2^-24 = 6e-8; errors of
  /// the tens to thousands of operations behind one number add up like a random walk, to about 1e-6
  /// of the largest partial sum; 1e-5 leaves room for sums that partly cancel. The finite
  /// differences add about 1e-10.
  double bound = 1e-5;
  /// Gradients of so many elements of each input are compared: all, or a random choice.
  int64_t samples = 64;
};

/// Fails the running test unless, for `inputs`,
/// - values and gradients are the definition's (NaN is a failure);
/// - 1, 2 and 3 threads give the same bits;
/// - each input's gradient has the same bits when it is the only one asked for;
/// - an evaluation tape gives the same values and records nothing.
void check_op(const Op& op, const Definition& definition, const std::vector<Tensor>& inputs,
              const CheckOptions& options = {});
void check_op(const Op& op, const Definition& definition, std::initializer_list<Tensor> inputs,
              const CheckOptions& options = {});

/// The part of check_op() about threads, again and again, for inputs too large for finite
/// differences: threads that write to one place meet in long loops only, and not always.
void check_threads(const Op& op, const std::vector<Tensor>& inputs);
void check_threads(const Op& op, std::initializer_list<Tensor> inputs);

/// What an op makes of its inputs.
struct OpResult {
  Tensor y;
  std::vector<Tensor> gradients;  ///< of sum(c y); an empty tensor where none was asked for
};

/// Runs the op forward and, on a recording tape, backward. Only input `only` asks for a gradient;
/// without it all of them do.
OpResult run_op(const Op& op, const std::vector<Tensor>& inputs, int thread_count = 1,
                std::optional<size_t> only = {}, Tape::Mode mode = Tape::Mode::recording);

/// |found - expected| / |expected| over all elements, or infinity for another shape; expected
/// values that are zero but for rounding count as 0.01.
double relative_distance(const Tensor& found, const Array& expected);

/// Same shape, type (f32 or bf16) and bits.
bool same_bits(const Tensor& a, const Tensor& b);

}  // namespace adaspan
