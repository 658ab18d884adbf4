// SPDX-License-Identifier: MIT
#include "adaspan/models/model_config.h"

#include <cmath>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/models/random_sites.h"

namespace adaspan {

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
  require(c.span_loss >= 0 && std::isfinite(c.span_loss),
          "[model] expected model.span_loss of at least 0; got {}", c.span_loss);
}

}  // namespace adaspan
