// SPDX-License-Identifier: MIT
#include "adaspan/models/attention.h"

#include "adaspan/ops/linear.h"
#include "adaspan/ops/memory_projection.h"
#include "adaspan/ops/span_attention.h"

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

Variable Attention::forward(Tape& tape, const Variable& x, const LayerMemory& memory,
                            const Variable& positions, const Variable& z,
                            const Dropout& dropout) const {
  const SpanAttentionOptions options{.ramp = config_.ramp,
                                     .effective_spans = effective_spans(z, config_),
                                     .memory_steps = memory_reaches(z, config_, memory.steps()),
                                     .skip_missing = config_.skip_missing,
                                     .dropout = dropout};
  const Variable key = key_.variable(), value = value_.variable();
  const Variable qkv = linear(tape, x, {query_.variable(), key, value});  // [M,B,3H]
  const Variable past =
      memory_projection(tape, memory.segments(), key, value, options.memory_steps);
  const Variable heads = span_attention(
      tape, {.qkv = qkv, .memory_kv = past, .p = positions, .z = z}, options);  // [M,B,H]
  return linear(tape, heads, out_.variable(), {}, {.residual = x});
}

}  // namespace adaspan
