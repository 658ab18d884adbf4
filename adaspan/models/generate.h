// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include <adaspan/models/transformer.h>

namespace adaspan {

struct GenerateOptions {
  int64_t length = 300;      ///< tokens to draw
  double temperature = 0.8;  ///< log p is divided by it; 0: always the likeliest token
  uint64_t seed = 1;
};

/// Draws tokens one at a time, each from softmax(log p / temperature) given all before it (through
/// the memory). `prompt` is read first and must have a token. Throws Error for an empty prompt, a
/// length below 0 or a temperature below 0.
std::vector<int32_t> generate(const Transformer& model, const std::vector<int32_t>& prompt,
                              const GenerateOptions& options);

}  // namespace adaspan
