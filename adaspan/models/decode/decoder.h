// SPDX-License-Identifier: MIT
// Writing with a model, one token after another: the same function as Transformer's, computed for
// one step at a time. What a training step makes anew from the layers' memory, the keys and values
// of each head, is kept here, as far back as the head reaches: a token then costs one pass over the
// weights, and over what the heads see.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <adaspan/models/transformer.h>

namespace adaspan {

struct DecoderOptions {
  int64_t texts = 1;           ///< N, that are written side by side
  DType storage = DType::f32;  ///< of weights, keys and values; all arithmetic is in f32
};

/// Bytes that one token reads, of one text: the least that must come from memory.
struct DecoderTraffic {
  double weights = 0, keys_and_values = 0, positions = 0;
  double total() const { return weights + keys_and_values + positions; }
};

/// N texts of equal length, each written by itself: what comes of one depends on its own tokens
/// alone, to the bit, whatever N and the number of threads. In f32 log-probabilities are those of
/// Transformer::predict but for rounding.
class Decoder {
 public:
  /// Tokens of a text's beginning that are read at once.
  static constexpr int64_t kBlock = 512;

  /// The model must live as long, and its weights stay as they are. Throws Error when texts is
  /// below 1 or storage is neither f32 nor bf16.
  Decoder(const Transformer& model, const DecoderOptions& options);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  /// Begins all texts with these tokens, in blocks; -> log p of the next token, the same for each
  /// text, [N,V]. Throws Error for no token, an id out of range, and when the texts have begun.
  const Tensor& read(std::span<const int32_t> tokens);
  /// One more token of each text, [N] -> log p of the next, [N,V]. Throws Error for another number
  /// of them, or an id out of range.
  const Tensor& step(std::span<const int32_t> tokens);

  /// Tokens of each text so far.
  int64_t position() const;
  /// Of a token of a text that is longer than every reach; of dynamic spans at their limit.
  DecoderTraffic traffic() const;

  class Work;

 private:
  std::unique_ptr<Work> work_;
};

/// Bytes that a decoder of these spans (z of each layer and head) takes, beside the model.
double decoder_memory(const ModelConfig& config, const DecoderOptions& options,
                      const std::vector<std::vector<float>>& z);

}  // namespace adaspan
