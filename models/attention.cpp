// SPDX-License-Identifier: MIT
#include "models/attention.h"

#include <algorithm>

#include "ops/linear.h"
#include "ops/memory_projection.h"
#include "ops/span_attention.h"

namespace adaspan {
namespace {

Parameter& projection(const ModelConfig& config, ParameterStore& store, const std::string& name) {
  return store.add(name + ".weight", {config.hidden, config.hidden},
                   Initialiser::fan_in(config.hidden));
}

}  // namespace

Attention::Attention(const ModelConfig& config, ParameterStore& store, const std::string& prefix)
    : config_(config),
      span_(make_span(config, store, prefix + "attn.")),
      query_(projection(config, store, prefix + "proj_query")),
      out_(projection(config, store, prefix + "proj_out")),
      value_(projection(config, store, prefix + "proj_val")),
      key_(projection(config, store, prefix + "proj_key")) {}

Variable Attention::forward(Tape& tape, const Variable& x, const Value& memory,
                            const Variable& positions, const Variable& z,
                            const Dropout& dropout) const {
  SpanAttentionOptions options{.ramp = config_.ramp,
                               .spans = effective_spans(z, config_),
                               .reaches = {},
                               .skip_missing = config_.skip_missing,
                               .dropout = dropout};
  for (int64_t span : options.spans) {
    options.reaches.push_back(std::min(span, memory->shape()[0]));
  }
  const Variable key = key_.variable(), value = value_.variable();
  const Variable heads =
      span_attention_naive(tape,
                           {.q = linear(tape, x, query_.variable()),
                            .k = linear(tape, x, key),
                            .v = linear(tape, x, value),
                            .memory_k = memory_projection(tape, memory, key, options.reaches),
                            .memory_v = memory_projection(tape, memory, value, options.reaches),
                            .p = positions,
                            .z = z},
                           options);
  return linear(tape, heads, out_.variable());
}

}  // namespace adaspan
