// SPDX-License-Identifier: MIT
#include "adaspan/models/parameter_store.h"

#include <fmt/core.h>

#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/random.h"

namespace adaspan {

Initialiser Initialiser::fan_in(int64_t n) {
  return uniform(1 / std::sqrt(static_cast<double>(n)));
}

std::string layer_name(int64_t layer, const std::string& name) {
  return fmt::format("layers.{}.{}", layer, name);
}

Parameter& ParameterStore::add(std::string name, uint32_t site, Shape shape, Initialiser init,
                               std::optional<Bounds> bounds) {
  require(names_.insert(name).second, "[parameters] expected distinct names; got {} twice", name);
  require(sites_.insert(site).second,
          "[parameters] expected distinct sites of random numbers; got {} twice, the second time "
          "for {}; give it one of its own",
          site, name);
  if (before_) before_(name, shape);
  const RandomKey key{.seed = seed_, .purpose = Purpose::initialisation, .site = site};
  Tensor value(std::move(shape));
  parallel_chunks(value.elements(), 1 << 12, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double x = init.size;
      if (init.kind == Initialiser::Kind::uniform) x *= 2 * random_uniform(key, i) - 1;
      if (init.kind == Initialiser::Kind::normal) x *= random_normal(key, i);
      value.data()[i] = static_cast<float>(x);
    }
  });
  return parameters_.emplace_back(std::move(name), std::move(value), bounds);
}

std::vector<Parameter*> ParameterStore::all() {
  std::vector<Parameter*> list;
  for (Parameter& parameter : parameters_) list.push_back(&parameter);
  return list;
}

std::vector<const Parameter*> ParameterStore::all() const {
  std::vector<const Parameter*> list;
  for (const Parameter& parameter : parameters_) list.push_back(&parameter);
  return list;
}

int64_t ParameterStore::elements() const {
  int64_t sum = 0;
  for (const Parameter& parameter : parameters_) sum += parameter.value().elements();
  return sum;
}

}  // namespace adaspan
