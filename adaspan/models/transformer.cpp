// SPDX-License-Identifier: MIT
#include "adaspan/models/transformer.h"

#include <fmt/core.h>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/embedding.h"
#include "adaspan/ops/layer_norm.h"
#include "adaspan/ops/layout.h"
#include "adaspan/ops/linear.h"

namespace adaspan {
namespace {

const ModelConfig& checked(const ModelConfig& config) {
  check(config);
  return config;
}

/// Dropout places; each layer has streams of random numbers of its own for each of them.
enum Place : uint32_t { kInput, kAttention, kFeedForward, kOutput, kPlaces };

}  // namespace

void check(const ModelConfig& c) {
  const auto positive = [](const char* flag, int64_t value) {
    require(value >= 1, "[model] expected --{} of at least 1; got {}", flag, value);
  };
  positive("nlayers", c.layers);
  positive("hid-sz", c.hidden);
  positive("inner-hid-sz", c.inner);
  positive("nheads", c.heads);
  positive("attn-span", c.span_limit);
  positive("adapt-span-ramp", c.ramp);
  require(c.vocabulary >= 1, "[model] expected a vocabulary of at least 1 token; got {}",
          c.vocabulary);
  require(c.hidden % c.heads == 0,
          "[model] expected --nheads to divide --hid-sz; got {} heads for {}; try --hid-sz {}",
          c.heads, c.hidden, (c.hidden / c.heads + 1) * c.heads);
  const auto share = [](const char* flag, float value, bool closed) {
    require(value >= 0 && (value < 1 || (closed && value == 1)),
            "[model] expected --{} in [0, 1{}; got {}", flag, closed ? "]" : ")", value);
  };
  share("dropout", c.dropout, false);
  share("emb-dropout", c.embedding_dropout, false);
  share("adapt-span-init", c.span_init, true);
  require(c.precision == DType::f32 || bf16_obstacle().empty(),
          "[model] expected --precision f32, since {}; got bf16; use --precision f32 or auto",
          bf16_obstacle());
  require(c.span_loss >= 0, "[model] expected --adapt-span-loss of at least 0; got {}",
          c.span_loss);
}

Transformer::Norm::Norm(const ModelConfig& config, ParameterStore& store, const std::string& prefix)
    : gain(store.add(prefix + ".weight", {config.hidden}, Initialiser::constant(1))),
      bias(store.add(prefix + ".bias", {config.hidden}, Initialiser::constant(0))) {}

Variable Transformer::Norm::forward(Tape& tape, const Variable& x) const {
  return layer_norm(tape, x, gain.variable(), bias.variable());
}

Transformer::Layer::Layer(const ModelConfig& config, ParameterStore& store,
                          const std::string& prefix)
    : attention(config, store, prefix + "attn."),
      norm1(config, store, prefix + "norm1"),
      feed_forward(config, store, prefix + "ff."),
      norm2(config, store, prefix + "norm2") {}

Transformer::Transformer(const ModelConfig& config, uint64_t seed)
    : config_(checked(config)),
      store_(seed),
      positions_(store_.add("key_pe", {1, config.head_width(), config.span_limit},
                            Initialiser::normal(1))),
      in_embedding_(
          store_.add("in_emb.weight", {config.vocabulary, config.hidden}, Initialiser::normal(1))),
      out_embedding_(store_.add("out_emb.weight", {config.vocabulary, config.hidden},
                                Initialiser::fan_in(config.hidden))),
      out_bias_(
          store_.add("out_emb.bias", {config.vocabulary}, Initialiser::fan_in(config.hidden))) {
  for (int64_t l = 0; l < config.layers; ++l) {
    layers_.emplace_back(config_, store_, fmt::format("layers.{}.", l));
  }
}

TransformerOutput Transformer::forward(Tape& tape, const Tensor& ids, const Memory& memory,
                                       const Dropout* dropout_key) const {
  const int64_t D = config_.head_width(), S = config_.span_limit;
  require(ids.shape().rank() == 2 && memory.size() == layers_.size(),
          "[transformer] expected ids [M,B] and the memory of {} layers; got {} and {}",
          layers_.size(), ids.shape().text(), memory.size());
  for (const LayerMemory& c : memory) {
    require(c.shape()[1] == ids.shape()[1] && c.shape()[2] == config_.hidden &&
                c.type() == config_.precision,
            "[transformer] expected memory [C,{},{}] of type {}; got {} of type {}", ids.shape()[1],
            config_.hidden, name(config_.precision), c.shape().text(), name(c.type()));
  }
  const auto dropout_at = [&](size_t layer, Place place, float rate) {
    if (!dropout_key) return Dropout{};
    Dropout mask = dropout_key->at(static_cast<uint32_t>(layer) * kPlaces + place);
    mask.rate = rate;
    return mask;
  };

  TransformerOutput out;
  const Variable p = reshape(tape, positions_.variable(), {D, S});
  Variable h = embedding(tape, in_embedding_.variable(), ids, config_.precision);  // [M,B,H]
  h = dropout(tape, h, dropout_at(0, kInput, config_.embedding_dropout));
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    const Variable z = layer.attention.span().spans(tape, h);
    if (z) {
      const Variable mean_z = mean(tape, z);
      out.span_loss = out.span_loss ? add(tape, out.span_loss, mean_z) : mean_z;
    }
    out.spans.push_back(mean_spans(z, config_));
    out.memory.push_back(memory[l].extended(h.shared_value(), memory_length(z, config_)));

    const Variable attended = layer.attention.forward(tape, h, memory[l], p, z,
                                                      dropout_at(l, kAttention, config_.dropout));
    const Variable x = layer.norm1.forward(tape, attended);
    h = layer.norm2.forward(
        tape, layer.feed_forward.forward(tape, x, dropout_at(l, kFeedForward, config_.dropout)));
  }
  h = dropout(tape, h, dropout_at(0, kOutput, config_.embedding_dropout));
  out.logits = linear(tape, h, out_embedding_.variable(), out_bias_.variable(),
                      {.type = DType::f32});  // [M,B,V]
  if (out.span_loss) out.span_loss = scale(tape, out.span_loss, config_.span_loss);
  return out;
}

Memory Transformer::fresh_memory(int64_t sequences) const {
  return empty_memory(config_.layers, sequences, config_.hidden, config_.precision);
}

void Transformer::clamp_spans() {
  for (Layer& layer : layers_) layer.attention.span().clamp();
}

}  // namespace adaspan
