// SPDX-License-Identifier: MIT
// What a trained model does with a given text: how far each head looks back at every token (paper,
// figure 5), and where one head looks (figure 1). The text runs through the model's own forward
// pass, in blocks whose memory slides along, as in an evaluation; the layers' inputs, from which
// spans and weights come, are read from that memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <adaspan/models/transformer.h>

namespace adaspan {

/// Told of the next tokens of a text, from token `first` on: for each layer its inputs, [steps,H].
using OnInputs =
    std::function<void(int64_t first, const std::vector<std::vector<float>>& inputs_of_layers)>;

/// Runs `ids` through the model from empty memory, at most `block` at a time, and no more than
/// every layer remembers.
void visit_layer_inputs(const Transformer& model, std::span<const int32_t> ids, int64_t block,
                        const OnInputs& visit);

/// z of every token, layer and head, in steps.
struct SpansOverText {
  SpanKind kind = SpanKind::fixed;
  int64_t tokens = 0, layers = 0, heads = 0;
  std::vector<float>
      z;  ///< [tokens, layers, heads]; where spans are not dynamic [1, ...]: the same

  float at(int64_t token, int64_t layer, int64_t head) const;
  double mean_of_token(int64_t token) const;
  double mean_of_layer(int64_t token, int64_t layer) const;
  std::vector<std::vector<float>> mean_of_heads() const;  ///< over the text, by layer and head
};
SpansOverText spans_over_text(const Transformer& model, std::span<const int32_t> ids,
                              int64_t block);

struct HeadChoice {
  int64_t layer = 0, head = 0;
};
/// What was said of a head; the rest is left open.
struct AskedHead {
  std::optional<int64_t> layer, head;
};
/// Of the heads that are asked for the one with the largest mean z; of several, the first one of
/// the last layer.
HeadChoice furthest_head(const SpansOverText& spans, const AskedHead& asked);

struct Attended {
  int64_t token;
  double weight;
};

/// Where a head looks, over a text.
struct AttentionOverText {
  static constexpr size_t kStrongest = 5;  ///< tokens kept of what a token attends to
  static constexpr int64_t kRecent = 160;  ///< last tokens whose weights are kept

  HeadChoice head;
  /// The mean weight over all tokens, of the steps at distance 1, 2, ... that the text has; with
  /// the two others it sums to 1, but for tokens that see nothing.
  std::vector<double> by_distance;
  double before_start = 0, persistent = 0;
  std::vector<std::vector<Attended>> strongest;  ///< of each token, heaviest first
  std::vector<std::vector<double>> recent;       ///< of the last tokens, by distance
};
AttentionOverText attention_over_text(const Transformer& model, std::span<const int32_t> ids,
                                      int64_t block, const HeadChoice& choice);

}  // namespace adaspan
