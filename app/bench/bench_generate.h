// SPDX-License-Identifier: MIT
// How fast a model writes, against how fast its weights can be read.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include <adaspan/models/model_config.h>

namespace adaspan {

struct BenchGenerateOptions {
  std::string spans = "trained";
  std::string storage = "auto";  ///< of weights, keys and values: f32, bf16; auto: as activations
  int64_t texts = 1;
  int64_t length = 200;  ///< tokens to time, in up to 5 turns; the fastest counts
  bool profile = false;  ///< as well, of `length` tokens more: what the kernels of a token took
};

/// Times tokens of texts longer than every reach, in turn with reading a buffer as large as what
/// one token has to read.
/// -> {spans, storage, texts, seconds, spread, tokens_per_s, bytes, weights, keys_and_values,
/// positions, read_gb_per_s, share_of_reading, disturbed, profile}; tokens_per_s is of all texts
/// together, what a profile says of one token
nlohmann::ordered_json bench_generate(ModelConfig config, const BenchGenerateOptions& options);

}  // namespace adaspan
