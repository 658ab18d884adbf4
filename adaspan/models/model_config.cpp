// SPDX-License-Identifier: MIT
#include "adaspan/models/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/models/clusters.h"
#include "adaspan/models/random_sites.h"

namespace adaspan {
namespace {

std::string text_of(const std::vector<int64_t>& list) {
  return fmt::format("{}", fmt::join(list, ","));
}

void check_adaptive_io(const ModelConfig& c) {
  const auto& [on, tied, divval, cutoffs] = c.adaptive_io;
  if (!on) return;
  require(divval > 1, "[model] expected model.adaptive_io.divval above 1; got {}", divval);
  require(!cutoffs.empty() && cutoffs.size() < kMostClusters,
          "[model] expected 1 to {} numbers in model.adaptive_io.cutoffs; got {}",
          kMostClusters - 1, cutoffs.size());
  require(cutoffs.front() > 0 && std::ranges::is_sorted(cutoffs, std::ranges::less_equal()),
          "[model] expected rising numbers above 0 in model.adaptive_io.cutoffs; got {}",
          text_of(cutoffs));
  require(cutoffs.back() < c.vocabulary,
          "[model] expected model.adaptive_io.cutoffs below {}, the size of the vocabulary; got "
          "{}; give cut-offs that fit, or leave model.adaptive_io.on out",
          c.vocabulary, text_of(cutoffs));
  const int64_t width = clusters_of(c).back().width;
  require(width >= 1,
          "[model] expected model.hidden of at least model.adaptive_io.divval to the power of the "
          "number of model.adaptive_io.cutoffs, so that the last cluster's vectors have a number; "
          "got {} for {} to the power of {}",
          c.hidden, divval, cutoffs.size());
}

}  // namespace

void check(const ModelConfig& c) {
  const auto positive = [](const char* field, int64_t value) {
    require(value >= 1, "[model] expected model.{} of at least 1; got {}", field, value);
  };
  positive("layers", c.layers);
  require(c.layers < kModelItself, "[model] expected model.layers below {}; got {}", kModelItself,
          c.layers);
  positive("hidden", c.hidden);
  positive("inner", c.inner);
  positive("heads", c.heads);
  require(c.persistent >= 0, "[model] expected model.persistent of at least 0; got {}",
          c.persistent);
  positive("span_limit", c.span_limit);
  positive("ramp", c.ramp);
  require(c.vocabulary >= 1, "[model] expected a vocabulary of at least 1 token; got {}",
          c.vocabulary);
  require(c.hidden % c.heads == 0,
          "[model] expected model.heads to divide model.hidden; got {} heads for {}; try "
          "model.hidden {}",
          c.heads, c.hidden, (c.hidden / c.heads + 1) * c.heads);
  check_adaptive_io(c);
  const auto share = [](const char* field, float value, bool closed) {
    require(value >= 0 && (value < 1 || (closed && value == 1)),
            "[model] expected model.{} in [0, 1{}; got {}", field, closed ? "]" : ")", value);
  };
  share("dropout", c.dropout, false);
  share("embedding_dropout", c.embedding_dropout, false);
  share("span_init", c.span_init, true);
  require(c.precision == DType::f32 || c.precision == DType::bf16,
          "[model] expected model.precision f32 or bf16; got {}", name(c.precision));
  require(c.precision == DType::f32 || bf16_obstacle().empty(),
          "[model] expected model.precision f32, since {}; got bf16; use model.precision f32",
          bf16_obstacle());
  require(c.cache_precision != CachePrecision::f32 || c.precision == DType::f32,
          "[model] expected model.cache_precision bf16 or auto with activations in {}; got f32; a "
          "memory holds no more than they do",
          name(c.precision));
  require(c.span_loss >= 0 && std::isfinite(c.span_loss),
          "[model] expected model.span_loss of at least 0; got {}", c.span_loss);
}

}  // namespace adaspan
