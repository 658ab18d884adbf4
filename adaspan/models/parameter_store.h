// SPDX-License-Identifier: MIT
// Owns all parameters of a model, in the order in which they were made.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <adaspan/autograd/variable.h>
#include <adaspan/models/random_sites.h>

namespace adaspan {

/// How a parameter starts. Each parameter draws from a stream of its own, keyed by the seed and a
/// site.
struct Initialiser {
  enum class Kind { constant, uniform, normal } kind;
  double size;  ///< the constant; the bound of U(-size, size); the deviation of N(0, size^2)

  static Initialiser constant(double value) { return {Kind::constant, value}; }
  static Initialiser uniform(double bound) { return {Kind::uniform, bound}; }
  static Initialiser normal(double deviation) { return {Kind::normal, deviation}; }
  /// U(-1/sqrt(n), 1/sqrt(n)), for a layer that sums n inputs
  static Initialiser fan_in(int64_t n);
};

/// The name of a parameter of a layer: "layers.<layer>.<name>".
std::string layer_name(int64_t layer, const std::string& name);

/// Told the name and shape of each parameter before it is made, that is before it takes any memory;
/// may throw.
using BeforeParameter = std::function<void(const std::string& name, const Shape& shape)>;

class ParameterStore {
 public:
  explicit ParameterStore(uint64_t seed, BeforeParameter before = {})
      : seed_(seed), before_(std::move(before)) {}

  /// Adds a parameter; the reference stays valid. `site` is that of its random numbers
  /// (random_sites.h). Throws Error if the name or the site is taken.
  Parameter& add(std::string name, uint32_t site, Shape shape, Initialiser init,
                 std::optional<Bounds> bounds = {});

  std::vector<Parameter*> all();
  std::vector<const Parameter*> all() const;
  int64_t elements() const;

 private:
  uint64_t seed_;
  BeforeParameter before_;
  std::set<std::string> names_;
  std::set<uint32_t> sites_;
  std::deque<Parameter> parameters_;  // a deque never moves its elements
};

}  // namespace adaspan
