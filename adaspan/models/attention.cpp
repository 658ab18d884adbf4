// SPDX-License-Identifier: MIT
#include "adaspan/models/attention.h"

#include <cmath>
#include <optional>

#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/memory_projection.h"
#include "adaspan/ops/span_attention.h"

namespace adaspan {
namespace {

Parameter& projection(const ModelConfig& config, ParameterStore& store, int64_t layer,
                      const char* name, RandomRole role) {
  return store.add(layer_name(layer, name), random_site(layer, role),
                   {config.hidden, config.hidden}, Initialiser::fan_in(config.hidden));
}

/// n [K,D,P] and u [K,P,D]
class PersistentVectors {
 public:
  PersistentVectors(const ModelConfig& config, ParameterStore& store, int64_t layer)
      : D_(static_cast<double>(config.head_width())),
        P_(static_cast<double>(config.persistent)),
        keys_(store.add(layer_name(layer, "attn.attn.persistent_memory.key"),
                        random_site(layer, RandomRole::persistent_keys),
                        {config.heads, config.head_width(), config.persistent},
                        Initialiser::normal(1 / std::sqrt(D_)))),
        values_(store.add(layer_name(layer, "attn.attn.persistent_memory.val"),
                          random_site(layer, RandomRole::persistent_values),
                          {config.heads, config.persistent, config.head_width()},
                          Initialiser::normal(1 / std::sqrt(P_)))) {}

  Variable keys(Tape& tape) const {
    return scale(tape, keys_.variable(), static_cast<float>(std::sqrt(D_)));
  }
  Variable values(Tape& tape) const {
    return scale(tape, values_.variable(), static_cast<float>(std::sqrt(P_)));
  }

 private:
  double D_, P_;
  Parameter& keys_;
  Parameter& values_;
};

class SpanAttention : public Attention {
 public:
  SpanAttention(const ModelConfig& config, ParameterStore& store, int64_t layer)
      : config_(config),
        query_(projection(config, store, layer, "attn.proj_query.weight", RandomRole::query)),
        out_(projection(config, store, layer, "attn.proj_out.weight", RandomRole::attention_out)),
        value_(projection(config, store, layer, "attn.proj_val.weight", RandomRole::value)),
        key_(projection(config, store, layer, "attn.proj_key.weight", RandomRole::key)) {
    if (config.persistent > 0) persistent_.emplace(config, store, layer);
  }

  Variable forward(Tape& tape, const AttentionInputs& inputs,
                   const Variable& residual) const override {
    const LayerSpans& spans = inputs.spans;
    const Variable key = key_.variable(), value = value_.variable();
    const Variable qkv = linear(tape, inputs.x, {query_.variable(), key, value});  // [M,B,3H]
    const Variable past = memory_projection(tape, inputs.memory.segments(), key, value,
                                            spans.memory_steps, qkv.type());
    const Variable heads =
        span_attention(tape,
                       {.qkv = qkv,
                        .memory_kv = past,
                        .p = inputs.positions.scores,
                        .z = spans.z,
                        .persistent_keys = persistent_ ? persistent_->keys(tape) : Variable(),
                        .persistent_values = persistent_ ? persistent_->values(tape) : Variable()},
                       {.ramp = config_.ramp,
                        .effective_spans = spans.effective,
                        .memory_steps = spans.memory_steps,
                        .skip_missing = config_.skip_missing,
                        .dropout = inputs.dropout});  // [M,B,H]
    return linear(tape, heads, out_.variable(), {}, {.residual = residual});
  }

 private:
  const ModelConfig config_;
  Parameter& query_;
  Parameter& out_;
  Parameter& value_;
  Parameter& key_;
  std::optional<PersistentVectors> persistent_;
};

}  // namespace

std::unique_ptr<Attention> make_attention(const ModelConfig& config, ParameterStore& store,
                                          int64_t layer) {
  return std::make_unique<SpanAttention>(config, store, layer);
}

}  // namespace adaspan
