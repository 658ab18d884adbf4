// SPDX-License-Identifier: MIT
// The whole network: embedding -> L layers of (span attention, feed-forward), each with a residual
// and a layer norm after it -> output projection. Activations are f32 or bf16, as
// ModelConfig::precision says.
#pragma once

#include <deque>
#include <vector>

#include <adaspan/models/attention.h>
#include <adaspan/models/feed_forward.h>
#include <adaspan/models/memory_cache.h>

namespace adaspan {

/// What one block of tokens gives.
struct TransformerOutput {
  Variable logits;     ///< [M,B,V], f32
  Variable span_loss;  ///< [1]: lambda sum over layers of mean z; absent for fixed spans
  Memory memory;       ///< what the next block remembers
  std::vector<std::vector<float>> spans;  ///< mean z of each layer and head, in steps
};

class Transformer {
 public:
  /// Throws Error when `config` does not fit together.
  Transformer(const ModelConfig& config, uint64_t seed);
  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  /// ids [M,B] int32, memory of the block before (fresh_memory at the start of a stream).
  /// `dropout`: its rate is ignored, the rates are the configuration's; absent for evaluation.
  /// Throws Error when memory or ids do not fit.
  TransformerOutput forward(Tape& tape, const Tensor& ids, const Memory& memory,
                            const Dropout* dropout = nullptr) const;

  /// The memory of `sequences` streams that have not begun.
  Memory fresh_memory(int64_t sequences) const;

  /// Puts the spans back into [0,1] after an update.
  void clamp_spans();

  const ModelConfig& config() const { return config_; }
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }

 private:
  struct Norm {
    Norm(const ModelConfig& config, ParameterStore& store, const std::string& prefix);
    Variable forward(Tape& tape, const Variable& x) const;
    Parameter& gain;
    Parameter& bias;
  };
  struct Layer {
    Layer(const ModelConfig& config, ParameterStore& store, const std::string& prefix);
    Attention attention;
    Norm norm1;
    FeedForward feed_forward;
    Norm norm2;
  };

  const ModelConfig config_;
  ParameterStore store_;
  Parameter& positions_;  // [1,D,S], one table for all layers and heads
  Parameter& in_embedding_;
  Parameter& out_embedding_;
  Parameter& out_bias_;
  std::deque<Layer> layers_;  // layers hold references and do not move
};

}  // namespace adaspan
