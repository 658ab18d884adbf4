// SPDX-License-Identifier: MIT
// The whole network: embedding -> L layers of (attention, feed-forward), each with a residual and a
// layer norm after it -> output head. With persistent vectors, which take the place of feed-forward
// layers, a layer is its attention alone. Activations are f32 or bf16, as ModelConfig::precision
// says.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <adaspan/models/attention.h>
#include <adaspan/models/feed_forward.h>
#include <adaspan/models/input_embedding.h>
#include <adaspan/models/memory_cache.h>
#include <adaspan/models/output_head.h>
#include <adaspan/models/positions.h>
#include <adaspan/models/span.h>

namespace adaspan {

/// The training step that a block is part of. It decides which activations are dropped, at the
/// rates of the configuration; without one nothing is.
struct TrainingStep {
  uint64_t seed = 0;
  uint32_t step = 0;
  int64_t first_sequence = 0;  ///< place of this part's first sequence in the whole batch
  int64_t batch = 0;           ///< sequences in the whole batch
  bool recompute = false;      ///< make layers' activations again backward: no bit depends on it
};

/// d(loss)/dz of each layer and head, as gradient_by_head() has them.
using SpanGradients = std::vector<std::vector<double>>;

/// What one block of tokens costs, and what it leaves behind.
struct BlockLoss {
  Variable total;                          ///< [1]: nll + span_loss, to be differentiated
  float nll = 0;                           ///< mean negative log-likelihood of the targets, nats
  float span_loss = 0;                     ///< lambda sum over layers of mean z; 0 for fixed spans
  std::vector<std::vector<float>> mean_z;  ///< of each layer and head, in steps
  std::vector<std::vector<float>> widest_z;  ///< the same, of the token that looks furthest
  Memory memory;                             ///< for the next block
  /// Of the nll alone, without the span loss: written by the backward pass, and with the factor
  /// that it begins with. Without layers where spans are fixed.
  std::shared_ptr<const SpanGradients> span_gradients;
};

/// What the model says of the next token after each step of a block.
struct BlockPrediction {
  Tensor log_probabilities;  ///< [M,B,V], f32
  Memory memory;             ///< for the next block
};

/// What each token of a block costs.
struct BlockTokenLosses {
  Tensor losses;                           ///< [M,B], f32: -log p of each target, in nats
  std::vector<std::vector<float>> mean_z;  ///< of each layer and head, in steps
  Memory memory;                           ///< for the next block
};

class Transformer {
 public:
  /// Throws Error when `config` does not fit together, and what `before` throws.
  Transformer(const ModelConfig& config, uint64_t seed, BeforeParameter before = {});
  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  /// ids and targets [M,B] int32, memory of the block before (fresh_memory at the start of a
  /// stream). Throws Error when these do not fit.
  /// The model must outlive what is recorded on `tape`.
  BlockLoss loss(Tape& tape, const Tensor& ids, const Tensor& targets, const Memory& memory,
                 const std::optional<TrainingStep>& training = {}) const;

  /// The same without targets, for those who look at all tokens of the vocabulary.
  BlockPrediction predict(const Tensor& ids, const Memory& memory) const;

  /// The loss of each target by itself, without a gradient.
  BlockTokenLosses token_losses(const Tensor& ids, const Tensor& targets,
                                const Memory& memory) const;

  /// What the layers keep of the block, for the next one: all of predict() but the prediction.
  Memory remember(const Tensor& ids, const Memory& memory) const;

  /// The memory of `sequences` streams that have not begun.
  Memory fresh_memory(int64_t sequences) const;

  /// The parameter [K,1,1] of each layer that holds the ratios z / S of its heads; none unless they
  /// are learned (SpanKind::adaptive).
  std::vector<Parameter*> span_ratios();
  std::vector<const Parameter*> span_ratios() const;

  /// z of each layer and head, in steps, as far as weights alone tell: of dynamic spans those that
  /// they start with.
  std::vector<std::vector<float>> spans() const;

  const InputEmbedding& embedding() const { return *embedding_; }
  const OutputHead& head() const { return *head_; }

  const ModelConfig& config() const { return config_; }
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }

 private:
  struct Norm {
    Norm(const ModelConfig& config, ParameterStore& store, int64_t layer, const std::string& name,
         RandomRole gain_role, RandomRole bias_role);
    Variable forward(Tape& tape, const Variable& x) const;
    Parameter& gain;
    Parameter& bias;
  };
  struct Layer {
    Layer(const ModelConfig& config, ParameterStore& store, int64_t index);
    std::unique_ptr<Span> span;
    std::unique_ptr<Attention> attention;
    Norm norm1;
    std::optional<FeedForward> feed_forward;  ///< none with persistent vectors; nor norm2
    std::optional<Norm> norm2;
  };
  /// What a layer's work on a block depends on, beside its input.
  struct LayerContext {
    LayerMemory memory;
    LayerSpans spans;
    BlockPositions positions;
    Dropout attention_dropout, inner_dropout;
  };
  /// What the layers make of a block.
  struct Body {
    Variable h;           // [M,B,H]: the last layer's output
    Variable span_price;  // [1]: sum over layers; absent if they have none
    std::vector<std::vector<float>> mean_z, widest_z;
    Memory memory;
    std::shared_ptr<SpanGradients> span_gradients;
  };
  Body forward(Tape& tape, const Tensor& ids, const Memory& memory,
               const std::optional<TrainingStep>& training) const;
  static Variable layer_forward(Tape& tape, const Layer& layer, const Variable& h,
                                const LayerContext& context);
  void check_inputs(const Tensor& ids, const Memory& memory) const;

  const ModelConfig config_;
  ParameterStore store_;
  std::unique_ptr<Positions> positions_;
  std::unique_ptr<InputEmbedding> embedding_;
  std::unique_ptr<OutputHead> head_;
  std::deque<Layer> layers_;  // layers hold references and do not move
};

}  // namespace adaspan
