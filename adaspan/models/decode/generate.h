// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <adaspan/models/decode/decoder.h>
#include <adaspan/models/decode/sampling.h>

namespace adaspan {

struct GenerateOptions {
  int64_t length = 300;  ///< tokens to draw of each text
  SamplingOptions sampling = {};
  uint64_t seed = 1;
};

/// Told of each token as it is drawn: the number of its text, and log p that the model gives it.
/// Where it returns false the text ends; a text that has ended is told of no more.
using OnToken = std::function<bool(int64_t text, int32_t token, float log_p)>;

/// Draws tokens one at a time, each from what the model says given all before it. The decoder must
/// be fresh, and reads `prompt` first, which must have a token. Text i depends on model, prompt,
/// options and i alone: not on how many there are. Throws Error for an empty prompt, a length below
/// 0 and sampling out of range.
void generate(Decoder& decoder, std::span<const int32_t> prompt, const GenerateOptions& options,
              const OnToken& on_token);

/// One text, with weights as they are.
std::vector<int32_t> generate(const Transformer& model, const std::vector<int32_t>& prompt,
                              const GenerateOptions& options);

}  // namespace adaspan
