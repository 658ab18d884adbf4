// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using Probabilities = std::vector<double>;

/// Ids that are left, the likeliest first.
std::vector<int32_t> by_rank(const Probabilities& p) {
  std::vector<int32_t> ids;
  for (size_t v = 0; v < p.size(); ++v) {
    if (p[v] > 0) ids.push_back(static_cast<int32_t>(v));
  }
  std::ranges::sort(ids, [&](int32_t a, int32_t b) {
    const double of_a = p[static_cast<size_t>(a)], of_b = p[static_cast<size_t>(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  });
  return ids;
}

void scale_to_one(Probabilities& p) {
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
}

/// Leaves the first `count` of `ids` alone.
void keep_first(Probabilities& p, const std::vector<int32_t>& ids, size_t count) {
  for (size_t i = count; i < ids.size(); ++i) p[static_cast<size_t>(ids[i])] = 0;
  scale_to_one(p);
}

void keep_top_p(Probabilities& p, double top_p) {
  const std::vector<int32_t> ids = by_rank(p);
  double sum = 0;
  size_t count = 0;
  while (count < ids.size() && (count == 0 || sum < top_p)) {
    sum += p[static_cast<size_t>(ids[count++])];
  }
  keep_first(p, ids, count);
}

void keep_min_p(Probabilities& p, double min_p) {
  const double least = min_p * std::ranges::max(p);
  for (double& x : p) x = x < least ? 0 : x;
  scale_to_one(p);
}

}  // namespace

void check(const SamplingOptions& o) {
  require(o.temperature >= 0,
          "[generate] expected generate.temperature of at least 0; got {}; 0 always takes the "
          "likeliest token",
          o.temperature);
  require(o.top_k >= 0,
          "[generate] expected generate.top_k of at least 0; got {}; 0 leaves all tokens", o.top_k);
  require(o.top_p > 0 && o.top_p <= 1,
          "[generate] expected generate.top_p above 0 and at most 1; got {}; 1 leaves all tokens",
          o.top_p);
  require(o.min_p >= 0 && o.min_p <= 1,
          "[generate] expected generate.min_p from 0 to 1; got {}; 0 leaves all tokens", o.min_p);
}

Probabilities sampling_probabilities(std::span<const float> log_p, const SamplingOptions& o) {
  require(
      std::ranges::none_of(log_p, [](float x) { return std::isnan(x); }),
      "[generate] expected a probability for each token; got nan: the weights are of a run that "
      "has diverged; take an older checkpoint");
  const auto top = std::ranges::max_element(log_p);
  Probabilities p(log_p.size(), 0);
  if (o.temperature == 0) {
    p[static_cast<size_t>(top - log_p.begin())] = 1;
    return p;
  }
  for (size_t v = 0; v < p.size(); ++v) {
    p[v] = std::exp((double{log_p[v]} - double{*top}) / o.temperature);
  }
  scale_to_one(p);
  if (o.top_k > 0 && static_cast<size_t>(o.top_k) < p.size()) {
    const std::vector<int32_t> ids = by_rank(p);
    keep_first(p, ids, std::min(ids.size(), static_cast<size_t>(o.top_k)));
  }
  if (o.top_p < 1) keep_top_p(p, o.top_p);
  if (o.min_p > 0) keep_min_p(p, o.min_p);
  return p;
}

int32_t draw(std::span<const double> p, double uniform) {
  double left = uniform;
  size_t last = 0;
  for (size_t v = 0; v < p.size(); ++v) {
    if (p[v] == 0) continue;
    last = v;
    left -= p[v];
    if (left < 0) break;
  }
  return static_cast<int32_t>(last);  // also where rounding left nothing of the last one
}

}  // namespace adaspan
