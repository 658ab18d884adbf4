// SPDX-License-Identifier: MIT
#include "adaspan/models/block_memory.h"

#include <algorithm>
#include <utility>

#include "adaspan/models/io_memory.h"
#include "adaspan/models/memory_cache.h"
#include "adaspan/models/span.h"
#include "adaspan/ops/span_mask.h"
#include "adaspan/ops/workspace.h"

namespace adaspan {
namespace {

/// Steps that a layer remembers of a stream, at most.
int64_t memory_steps(const ModelConfig& c, const BlockSizes& n, const std::vector<float>& z) {
  return std::min(memory_length(c, std::ranges::max(z)), n.past);
}

StepsInUse steps_in_use(const ModelConfig& c, const BlockSizes& n, const std::vector<float>& z) {
  StepsInUse steps = steps_in_use(memory_steps(c, n, z), n.M, n.B, c.hidden, c.cache_type());
  if (c.cache_type() != c.precision) steps.copied += std::exchange(steps.shared, 0);  // rounded
  return steps;
}

/// So many steps of a layer's memory.
double cache_bytes(const ModelConfig& c, const BlockSizes& n, int64_t steps) {
  return buffer_bytes(static_cast<double>(steps) * n.B * c.hidden, c.cache_type());
}

AttentionSizes attention_sizes(const ModelConfig& c, const BlockSizes& n,
                               const std::vector<float>& z) {
  AttentionSizes a{.M = n.M,
                   .B = n.B,
                   .K = c.heads,
                   .D = c.head_width(),
                   .S = c.span_limit,
                   .P = c.persistent,
                   .effective_spans = {},
                   .memory_steps = {},
                   .segments = steps_in_use(c, n, z).segments,
                   .type = c.precision,
                   .dropout = c.dropout > 0,
                   .memory_type = c.cache_type()};
  const int64_t C = memory_steps(c, n, z);
  for (float head : z) {
    const bool fixed = c.span_kind == SpanKind::fixed;
    a.effective_spans.push_back(fixed ? a.S : effective_span(head, c.ramp, a.S));
    a.memory_steps.push_back(std::min(a.effective_spans.back(), C));
  }
  return a;
}

/// Buffers of one layer, named as in Transformer and its parts.
struct LayerBuffers {
  LayerBuffers(const ModelConfig& c, const BlockSizes& n, const std::vector<float>& z)
      : sizes(attention_sizes(c, n, z)), rows(static_cast<double>(n.B) * n.M) {
    const DType type = c.precision;
    h = buffer_bytes(rows * c.hidden, type);
    qkv = buffer_bytes(3 * rows * c.hidden, type);
    kv = buffer_bytes(sizes.total_memory_steps() * n.B * 2 * sizes.D, type);
    inner = c.persistent > 0 ? 0 : buffer_bytes(rows * c.inner, type);
    persistent = c.persistent > 0 ? 2 * buffer_bytes(double(c.hidden) * c.persistent) : 0;
    scales = 2 * buffer_bytes(rows * c.heads);
    moments = 2 * buffer_bytes(rows);
    z_values = c.span_kind == SpanKind::dynamic ? buffer_bytes(rows * c.heads) : 0;
  }

  AttentionSizes sizes;
  double rows;
  double h, qkv, kv, inner, scales, moments, z_values;
  double persistent;  ///< keys and values, scaled

  /// What is saved for the backward pass: the input and z in any case, and what is made of them:
  /// qkv, kv, heads, attended; x, inner, transformed.
  double input() const { return h + 2 * z_values; }
  double made() const {
    const double feed_forward = inner > 0 ? 2 * h + inner + moments : 0;
    return 2 * h + qkv + kv + scales + moments + persistent + feed_forward;
  }

  LinearSizes linear(const ModelConfig& c, int64_t in, int64_t out, bool stacked = false) const {
    return {static_cast<int64_t>(rows), in, out, c.precision, c.precision, stacked};
  }
};

double attention_weights(const ModelConfig& c) {
  const double H = c.hidden, K = c.heads;
  const double span = c.span_kind == SpanKind::dynamic    ? K * H + K
                      : c.span_kind == SpanKind::adaptive ? K
                                                          : 0;
  return 4 * H * H + span + 2 * H + 2 * H * static_cast<double>(c.persistent);
}
double feed_forward_weights(const ModelConfig& c) {
  if (c.persistent > 0) return 0;
  return (2.0 * c.hidden + 1) * c.inner + 3.0 * c.hidden;
}
/// The moment with the most, of all that were seen.
class Peak {
 public:
  void see(double activations, double gradients, double workspace) {
    const BlockMemory now{activations, gradients * sizeof(float), workspace};
    if (now.total() > most_.total()) most_ = now;
  }
  void add_other(double bytes) { others_ += bytes; }
  BlockMemory most() const {
    BlockMemory all = most_;
    all.others = others_;
    return all;
  }

 private:
  double others_ = 0;
  BlockMemory most_;
};

}  // namespace

double parameter_count(const ModelConfig& c) {
  return input_weights(c) + output_weights(c) + static_cast<double>(c.head_width()) * c.span_limit +
         c.layers * (attention_weights(c) + feed_forward_weights(c));
}

BlockMemory training_memory(const ModelConfig& c, const BlockSizes& n,
                            const std::vector<std::vector<float>>& z, const TrainingWay& way) {
  const bool gradients_kept = way.gradients_kept;
  Peak peak;
  // Forward: what each layer saves. Of those that are made again, that is their input.
  double saved = saved_by_input(c, n.B * n.M);
  const auto made_again = [&](size_t l) { return way.recompute && l + 1 < z.size(); };
  double kv_once = 0;  // with its gradient: layers that are made again have it one at a time
  for (size_t l = 0; l < z.size(); ++l) {
    const LayerBuffers b(c, n, z[l]);
    if (made_again(l)) {
      kv_once = std::max(kv_once, 2 * b.kv);
    } else {
      peak.add_other(b.kv);
    }
    saved += b.input() + (made_again(l) ? 0 : b.made());
    saved += cache_bytes(c, n, steps_in_use(c, n, z[l]).copied);
  }
  peak.add_other(kv_once);

  // The output head, forward and backward.
  double gradients = gradients_kept ? parameter_count(c) : 0;
  const auto add_gradients = [&](double weights) { gradients += gradients_kept ? 0 : weights; };
  const HeadMemory head = head_training_memory(c, n.B * n.M);
  for (const auto& [activations, workspace] : head.forward) {
    peak.see(saved + activations, gradients, workspace);
  }
  add_gradients(output_weights(c));
  for (const auto& [activations, workspace] : head.backward) {
    peak.see(saved + activations, gradients, workspace);
  }
  peak.add_other(head.others);

  // Backward: what a layer saved goes, its weights' gradients come. dh: of its output and input.
  add_gradients(static_cast<double>(c.head_width()) * c.span_limit);
  for (size_t l = z.size(); l-- > 0;) {
    const LayerBuffers b(c, n, z[l]);
    if (made_again(l)) saved += b.made();
    const double dh = b.h + (made_again(l) ? b.h : 0);  // the output, too, is there again
    peak.see(saved + dh, gradients, layer_norm_backward_workspace(n.B * n.M, c.hidden));
    if (b.inner > 0) {
      add_gradients(feed_forward_weights(c));
      saved -= b.h + b.moments;  // transformed
      peak.see(saved + dh + b.inner, gradients,
               linear_backward_workspace(b.linear(c, c.inner, c.hidden)));
      peak.see(saved + dh + b.inner, gradients,
               linear_backward_workspace(b.linear(c, c.hidden, c.inner)));
      saved -= b.h + b.inner;  // x, inner
    }
    add_gradients(attention_weights(c));
    saved -= b.h + b.moments;  // attended
    peak.see(saved + dh + b.h, gradients,
             linear_backward_workspace(b.linear(c, c.hidden, c.hidden)));
    saved -= b.h;  // heads
    const double dqkv = b.qkv + b.kv + b.z_values;
    peak.see(saved + dh + b.h + dqkv, gradients, span_attention_backward_workspace(b.sizes));
    saved -= b.qkv + b.kv + b.scales + 2 * b.z_values + b.persistent;
    peak.see(saved + dh + dqkv, gradients, memory_projection_backward_workspace(b.sizes));
    peak.see(saved + dh + b.qkv, gradients,
             linear_backward_workspace(b.linear(c, c.hidden, 3 * c.hidden, /*stacked=*/true)));
    saved -= steps_in_use(c, n, z[l]).shared > 0 ? 0 : b.h;
  }
  add_gradients(input_weights(c));
  const HeadMoment input = input_backward_memory(c, n.B * n.M);
  peak.see(input.activations, gradients, input.workspace);
  return peak.most();
}

BlockMemory evaluation_memory(const ModelConfig& c, const BlockSizes& n,
                              const std::vector<std::vector<float>>& z, HeadResult result) {
  Peak peak;
  double memory = 0;  // that the next block will see
  double attention_most = 0, inner_most = 0, kv_most = 0;
  for (const auto& layer : z) {
    const LayerBuffers b(c, n, layer);
    const StepsInUse steps = steps_in_use(c, n, layer);
    const double h = steps.shared > 0 ? 0 : b.h;  // else it is part of the memory
    memory += cache_bytes(c, n, steps.shared + steps.copied);
    const double attention = memory + h + b.qkv + b.kv + b.z_values + b.persistent;
    attention_most = std::max(attention_most, b.qkv + b.kv);
    inner_most = b.inner;
    kv_most = std::max(kv_most, b.kv);
    peak.see(attention, 0, memory_projection_workspace(b.sizes));
    peak.see(attention + b.h + b.scales, 0, span_attention_workspace(b.sizes));
    peak.see(attention + 2 * b.h, 0, linear_workspace(b.linear(c, c.hidden, c.hidden)));
    if (b.inner == 0) continue;
    peak.see(memory + h + 3 * b.h + b.inner, 0, linear_workspace(b.linear(c, c.inner, c.hidden)));
  }
  const double h = buffer_bytes(static_cast<double>(n.B) * n.M * c.hidden, c.precision);
  const HeadMemory head = head_evaluation_memory(c, n.B * n.M, result);
  for (const auto& [activations, workspace] : head.forward) {
    peak.see(memory + h + activations, 0, workspace);
  }
  peak.add_other(attention_most + inner_most + head.others -
                 std::max({attention_most, inner_most, head.others}));
  // At the start of a stream the memory grows, block by block, and its keys and values with it:
  // sizes that come no more. Half of them find another use.
  if (result == HeadResult::token_losses) peak.add_other(kv_most / 2);
  return peak.most();
}

double kept_memory(const ModelConfig& c, const BlockSizes& n,
                   const std::vector<std::vector<float>>& z) {
  double bytes = 0;
  for (const auto& layer : z) {
    bytes += cache_bytes(c, n, steps_in_use(c, n, layer).held);
  }
  return bytes;
}

double joined_memory(const ModelConfig& c, const BlockSizes& n,
                     const std::vector<std::vector<float>>& z) {
  double bytes = 0;
  for (const auto& layer : z) bytes += cache_bytes(c, n, memory_steps(c, n, layer));
  return bytes;
}

}  // namespace adaspan
