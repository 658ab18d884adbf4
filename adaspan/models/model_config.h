// SPDX-License-Identifier: MIT
// What defines a model: two models of one configuration and seed start with the same weights. The
// defaults are those of the paper's released code.
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/core/tensor.h>

namespace adaspan {

enum class SpanKind { fixed, adaptive, dynamic };

/// Embeddings and softmax by the frequency of tokens (Grave et al. 2017; Baevski and Auli 2019):
/// ids, which are sorted by falling frequency, are cut into clusters, and rarer ones have narrower
/// vectors (models/clusters.h).
struct AdaptiveIo {
  bool on = false;
  bool tied = false;   ///< the output shares the input's vectors and projections
  int64_t divval = 4;  ///< each cluster's vectors are so much narrower than those of the one before
  std::vector<int64_t> cutoffs{20000, 40000, 200000};  ///< first ids of the clusters but the first
};

/// Type of the layers' memory: half of it is needed in bf16.
enum class CachePrecision { of_activations, f32, bf16 };

struct ModelConfig {
  int64_t vocabulary = 0;   ///< V
  int64_t layers = 8;       ///< L
  int64_t hidden = 256;     ///< H
  int64_t inner = 1024;     ///< F, width of the feed-forward layer; not used where P > 0
  int64_t heads = 2;        ///< K; divides H
  int64_t persistent = 0;   ///< P, persistent vectors of a head in the place of feed-forward layers
  int64_t span_limit = 32;  ///< S
  int64_t ramp = 32;        ///< R
  SpanKind span_kind = SpanKind::fixed;
  float span_init = 0;          ///< first value of z/S (adaptive)
  float span_loss = 0;          ///< lambda
  bool adapt_cache = false;     ///< keep only as much memory as the spans need
  bool skip_missing = false;    ///< leave out steps before the stream's start, instead of k = v = 0
  float dropout = 0.2f;         ///< of attention weights and inner activations
  float embedding_dropout = 0;  ///< of the embeddings and of the last layer's output
  AdaptiveIo adaptive_io = {};
  /// Type of activations and their gradients; parameters, sums and losses are f32.
  DType precision = DType::f32;
  CachePrecision cache_precision = CachePrecision::of_activations;

  int64_t head_width() const { return hidden / heads; }  ///< D
  /// Type of the layers' memory.
  DType cache_type() const {
    return cache_precision == CachePrecision::bf16 ? DType::bf16 : precision;
  }
};

/// Throws Error, naming the field as "model.<field>", when sizes are out of range or do not fit
/// each other.
void check(const ModelConfig& config);

}  // namespace adaspan
